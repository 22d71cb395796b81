"""Run a real definition in moto's Step Functions engine, with real handlers and injected time.

The engine knows JSONata only through a JVM bridge that is not there; the hook below evaluates
with ``jsonata-python``. It and the others use private names of moto, whose version is pinned.
"""

from __future__ import annotations

import copy
import functools
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import moto.stepfunctions.parser.asl.component.common.retry.retrier_decl as retries
import moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils as lambdas
import moto.stepfunctions.parser.asl.jsonata.jsonata as bridge
import pytest
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.backend.execution_worker import (
    ExecutionWorker,
    SyncExecutionWorker,
)
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from tests.support.definitions import (
    ACCOUNT,
    REGION,
    Function,
    Result,
    execution_arn,
    invoke,
    parsed,
    with_nulls,
)
from tests.support.definitions import definition as as_json

_parse = AmazonStateLanguageParser.parse
_COMPOSED = re.compile(r"(?:\$exists\(|\$type\()?\(")
_DECLARED = re.compile(r"\$(\w+):=")
_JSON = json.JSONDecoder(strict=False)


@dataclass(frozen=True)
class Stopped:
    """Where an execution was stopped: the state, what went into it, the variables before it."""

    state: str
    given: Any
    variables: Mapping[str, Any]


@dataclass
class Control:
    """Acts on the running execution as a person in the console would.

    ``stopped`` is where it was stopped; ``redrive`` lets the next run go on from there.
    """

    stop: Callable[[], None] = lambda: None
    stopped: Stopped | None = None
    redrive: bool = False


@functools.lru_cache(maxsize=32)
def _program(definition: str) -> tuple[Any, None]:
    """Parse a definition once for the engine's validation and all executions, which share it.

    Nothing that runs changes it. The engine does not look at the tree beside it.
    """
    return _parse(definition)[0], None


def _evaluate(expression: str) -> Any:
    """Evaluate what the engine composed: ``($a:=<JSON>;$b:=<JSON>;<the definition's own text>)``.

    The values are bound instead of parsed, which takes longer than everything else; from the first
    one on that is no plain JSON they stay in the text.
    """
    found = _COMPOSED.match(expression)
    if found is None:
        return parsed(expression).evaluate(None)
    bound: dict[str, Any] = {}
    at = found.end()
    while declared := _DECLARED.match(expression, at):
        try:
            value, end = _JSON.raw_decode(expression, declared.end())
        except ValueError:
            break
        bound[declared[1]], at = with_nulls(value), end + 1
    return parsed(found[0] + expression[at:]).evaluate(None, bound)


class _Lambda:
    def __init__(self, functions: Mapping[str, Function], calls: list[str]) -> None:
        self._functions = functions
        self._calls = calls
        self.ended = False

    def invoke(self, **request: Any) -> dict[str, Any]:
        # The engine goes on with what a function answers after its execution was stopped.
        if self.ended:
            return self._answer({}, {})
        name = request["FunctionName"]
        payload = request["Payload"]
        event = json.loads(payload) if isinstance(payload, (str, bytes)) else payload
        self._calls.append(name)
        body, failed = invoke(self._functions, name, event)
        return self._answer(body, {"FunctionError": "Unhandled"} if failed else {})

    @staticmethod
    def _answer(body: Any, more: dict[str, Any]) -> dict[str, Any]:
        stream = io.BytesIO(json.dumps(body).encode())
        return {"StatusCode": 200, "Payload": stream, **more}


def _redriven(definition: str, stopped: Stopped) -> str:
    """The definition, entered at the state that was stopped, with all variables as they were.

    https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    """
    found = json.loads(definition)
    found["States"]["Redriven"] = {
        "Type": "Pass",
        "Assign": dict(stopped.variables),
        "Output": stopped.given,
        "Next": stopped.state,
    }
    return json.dumps({**found, "StartAt": "Redriven"})


def _here(running: Any) -> Stopped:
    environment = running.exec_worker.env
    variables = environment.variable_store
    return Stopped(
        state=environment.states.context_object.context_object_data["State"]["Name"],
        given=copy.deepcopy(environment.states.get_input()),
        variables=copy.deepcopy({**variables._outer_scope, **variables._inner_scope}),
    )


def run(
    definition: str,
    functions: Mapping[str, Function],
    given: Any,
    *,
    monkeypatch: pytest.MonkeyPatch,
    on_wait: Callable[[int], None] = lambda _seconds: None,
    name: str = "demo.provision.1",
    control: Control | None = None,
) -> Result:
    """Run ``statemachines/<definition>.asl.yaml`` to its end.

    ``functions`` are called by the name that the definition substitutes; a wait (also a retry's)
    calls ``on_wait`` with its seconds instead of sleeping. Through ``control``, a function can
    stop the execution, and the next run of the same name can be its redrive.
    """
    calls: list[str] = []
    waited: list[int] = []

    def wait(_self: Any, env: Any, wait_seconds: int) -> None:
        del env
        waited.append(int(wait_seconds))
        on_wait(int(wait_seconds))

    # An execution may be started while another one waits: it gets its own waits back.
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "_eval_jsonata", _evaluate)
        aws_lambda = _Lambda(functions, calls)
        patch.setattr(lambdas, "boto_client_for", lambda **_: aws_lambda)
        patch.setattr(WaitFunction, "_wait_interval", wait)
        retry_time = SimpleNamespace(sleep=lambda seconds: wait(None, None, int(seconds)))
        patch.setattr(retries, "time", retry_time)
        patch.setattr(AmazonStateLanguageParser, "parse", staticmethod(_program))
        # An execution is over when it was started: nothing has to be asked for again and again.
        patch.setattr(ExecutionWorker, "start", SyncExecutionWorker.start)

        # The engine itself, without API, client and credentials: each call of those takes as long
        # as several states.
        backend = StepFunctionsParserBackend(REGION, ACCOUNT)
        text = as_json(definition, tuple(functions))
        if control is not None and control.redrive and control.stopped is not None:
            text = _redriven(text, control.stopped)
        machine = backend.create_state_machine(
            name=definition, definition=text, roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine"
        )
        arn = execution_arn(definition, name)

        def stop() -> None:
            assert control is not None
            control.stopped = _here(backend.describe_execution(arn))
            backend.stop_execution(arn)
            aws_lambda.ended = True

        if control is not None:
            control.stop = stop
        execution = backend.start_execution(machine.arn, name, json.dumps(given))
    output = execution.to_describe_output().get("output")
    entered = [
        event.get("stateEnteredEventDetails") for event in execution.to_history_output()["events"]
    ]
    ended = aws_lambda.ended
    return Result(
        # What a function answers afterwards changes nothing of it.
        status="ABORTED" if ended else execution.status,
        output=json.loads(output) if output and not ended else None,
        error="" if ended else execution.error or "",
        cause="" if ended else execution.cause or "",
        states=[details["name"] for details in entered if details],
        calls=calls,
        waited=waited,
    )
