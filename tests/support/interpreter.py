"""Walk a real definition state by state, with real handlers, injected time and interruptions.

It knows what the definitions here use: Task (``lambda:invoke``), Choice, Wait, Pass, Succeed and
Fail, in JSONata. ``tests/statemachines/test_interpreter.py`` holds it to an engine. It is many
times as fast, and an execution can be left at any point, copied, and gone on with.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.support.definitions import (
    Function,
    Result,
    definition,
    execution_arn,
    invoke,
    parsed,
    with_nulls,
)

_INVOKE: Final = "arn:aws:states:::lambda:invoke"
_NAMES: Final = re.compile(r"\$(\w+)")


@dataclass(frozen=True)
class _Failed(Exception):
    """A state failed with an error that Retry and Catch may name."""

    error: str
    cause: str

    @property
    def output(self) -> dict[str, str]:
        return {"Error": self.error, "Cause": self.cause}


class Execution:
    """One execution of ``statemachines/<machine>.asl.yaml``.

    ``functions`` are called by the name that the definition substitutes. A wait, also a retry's
    with its whole interval, calls ``on_wait`` with its seconds. ``status`` is as AWS names it, ""
    while it runs; then ``state`` is the one that comes next.
    """

    def __init__(
        self,
        machine: str,
        functions: Mapping[str, Function],
        given: Any,
        *,
        name: str,
        started_at: str,
        on_wait: Callable[[int], None] = lambda _seconds: None,
    ) -> None:
        self.name = name
        self.arn = execution_arn(machine, name)
        self.status = self.error = self.cause = ""
        self.output: Any = None
        # In the order in which they happened; what is forgotten in a crash stays in them.
        self.states: list[str] = []
        self.calls: list[str] = []
        self.waited: list[int] = []
        self._definition = _read(machine, tuple(functions))
        self._functions = functions
        self._on_wait = on_wait
        self._variables: dict[str, Any] = {}
        # Of the task under way, how often each retrier was used; None before a state is entered.
        self._attempts: dict[int, int] | None = None
        self._context = {
            "Execution": {"Id": self.arn, "Name": name, "Input": given, "StartTime": started_at}
        }
        self._enter(self._definition["StartAt"], given)

    def step(self) -> None:
        """Enter the next state and leave it; or take one more attempt at a task."""
        assert not self.status, "the execution has ended"
        state = self._definition["States"][self.state]
        if self._attempts is None:
            self.states.append(self.state)
            self._attempts = {}
        try:
            self._take(state)
        except _Failed as failed:
            self._failed(state, failed)

    def run(self) -> Result:
        """Take all steps to the end."""
        while not self.status:
            self.step()
        return self.result

    @property
    def result(self) -> Result:
        """How it ended."""
        return Result(
            status=self.status,
            output=self.output,
            error=self.error,
            cause=self.cause,
            states=list(self.states),
            calls=list(self.calls),
            waited=list(self.waited),
        )

    def _enter(self, state: str, given: Any) -> None:
        self.state, self._given = state, given
        self._attempts = None

    def _take(self, state: Mapping[str, Any]) -> None:
        states = {"input": self._given, "context": self._context}
        match state["Type"]:
            case "Task":
                states["result"] = result = self._task(state, states)
                self._leave(state, states, result)
            case "Choice":
                for choice in state["Choices"]:
                    if self._filled(choice["Condition"], states) is True:
                        self._leave(choice, states, self._given)
                        return
                assert "Default" in state, "States.NoChoiceMatched"
                self._leave({**state, "Next": state["Default"]}, states, self._given)
            case "Wait":
                self._wait(self._filled(state["Seconds"], states))
                self._leave(state, states, self._given)
            case "Pass":
                self._leave(state, states, self._given)
            case "Succeed":
                self._leave({**state, "End": True}, states, self._given)
            case "Fail":
                self.error = self._filled(state.get("Error", ""), states)
                self.cause = self._filled(state.get("Cause", ""), states)
                self.status = "FAILED"
            case other:
                raise NotImplementedError(other)

    def _leave(self, way: Mapping[str, Any], states: Mapping[str, Any], passed: Any) -> None:
        """Assign and pass on as a state, a choice or a catcher says.

        All expressions see the variables as they were before.
        """
        output = self._filled(way["Output"], states) if "Output" in way else passed
        assigned = self._filled(way.get("Assign", {}), states)
        self._variables = {**self._variables, **assigned}
        if way.get("End"):
            self.output, self.status = output, "SUCCEEDED"
        else:
            self._enter(way["Next"], output)

    def _task(self, state: Mapping[str, Any], states: Mapping[str, Any]) -> dict[str, Any]:
        if state["Resource"] != _INVOKE:
            raise NotImplementedError(state["Resource"])
        arguments = self._filled(state["Arguments"], states)
        function = arguments["FunctionName"]
        self.calls.append(function)
        payload, failed = invoke(self._functions, function, arguments["Payload"])
        if failed:
            raise _Failed(payload["errorType"], json.dumps(payload, separators=(",", ":")))
        return {"StatusCode": 200, "Payload": payload}

    def _wait(self, seconds: float) -> None:
        self.waited.append(int(seconds))
        self._on_wait(int(seconds))

    def _failed(self, state: Mapping[str, Any], failed: _Failed) -> None:
        if self._retried(state, failed):
            return
        for catcher in state.get("Catch", []):
            if _names(catcher, failed.error):
                states = {
                    "input": self._given,
                    "context": self._context,
                    "errorOutput": failed.output,
                }
                self._leave(catcher, states, failed.output)
                return
        self.status, self.error, self.cause = "FAILED", failed.error, failed.cause

    def _retried(self, state: Mapping[str, Any], failed: _Failed) -> bool:
        """Wait for another attempt, as the first retrier that names the error allows it."""
        attempts = self._attempts or {}
        for number, retrier in enumerate(state.get("Retry", [])):
            if not _names(retrier, failed.error):
                continue
            done = attempts.get(number, 0)
            if done >= retrier.get("MaxAttempts", 3):
                return False
            self._attempts = {**attempts, number: done + 1}
            seconds = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** done
            self._wait(min(seconds, retrier.get("MaxDelaySeconds", seconds)))
            return True
        return False

    def _filled(self, template: Any, states: Mapping[str, Any]) -> Any:
        """Evaluate all expressions in a value of the definition."""
        if isinstance(template, dict):
            return {key: self._filled(value, states) for key, value in template.items()}
        if isinstance(template, list):
            return [self._filled(value, states) for value in template]
        if not isinstance(template, str) or not template.startswith("{%"):
            return template
        return self._value(template.removeprefix("{%").removesuffix("%}").strip(), states)

    def _value(self, expression: str, states: Mapping[str, Any]) -> Any:
        known = {**self._variables, "states": states}
        bound = {name: with_nulls(known[name]) for name in _used(expression) if name in known}
        try:
            value = parsed(expression).evaluate(None, bound)
            there = value is not None or parsed(f"$exists({expression})").evaluate(None, bound)
        except Exception as error:
            raise _Failed("States.QueryEvaluationError", f"{expression}: {error}") from error
        if not there:
            # https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
            raise _Failed("States.QueryEvaluationError", f"{expression} has no value")
        return json.loads(json.dumps(value))


@functools.cache
def _read(machine: str, functions: tuple[str, ...]) -> Any:
    found = json.loads(definition(machine, functions))
    assert found["QueryLanguage"] == "JSONata"
    return found


@functools.cache
def _used(expression: str) -> frozenset[str]:
    return frozenset(_NAMES.findall(expression))


def _names(policy: Mapping[str, Any], error: str) -> bool:
    """Whether a retrier or a catcher is for that error."""
    named = policy["ErrorEquals"]
    # It is the one error that States.ALL does not stand for, beside States.DataLimitExceeded.
    return error in named or ("States.ALL" in named and error != "States.Runtime")
