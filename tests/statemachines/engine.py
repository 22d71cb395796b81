"""Run a real definition in moto's Step Functions engine, with real handlers and injected time.

The engine knows JSONata only through a JVM bridge that is not there; the hook below evaluates
with ``jsonata-python``. It and the others use private names of moto, whose version is pinned.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import io
import json
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jsonata
import moto.stepfunctions.parser.asl.component.common.retry.retrier_decl as retries
import moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils as lambdas
import moto.stepfunctions.parser.asl.jsonata.jsonata as bridge
import pytest
import yaml
from jsonata.utils import Utils
from lifecycle.errors import Failure, LifecycleError
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.backend.execution_worker import (
    ExecutionWorker,
    SyncExecutionWorker,
)
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

_parse = AmazonStateLanguageParser.parse
_COMPOSED = re.compile(r"(?:\$exists\(|\$type\()?\(")
_DECLARED = re.compile(r"\$(\w+):=")
_JSON = json.JSONDecoder(strict=False)
ROOT = Path(__file__).parents[2]
REGION = "eu-central-1"
ACCOUNT = "123456789012"

Function = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Context:
    """What Lambda hands to a handler beside the event."""

    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    aws_request_id: str = "request"


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


def execution_arn(definition: str, name: str) -> str:
    """ARN that the engine gives an execution."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{definition}:{name}"


@dataclass
class Result:
    """How an execution ended, and what was called on the way."""

    status: str
    output: Any
    error: str
    cause: str
    states: list[str]
    calls: list[str]
    waited: list[int] = field(default_factory=list)


def load_handler(folder: str, **replaced: Any) -> Function:
    """Load ``functions/<folder>/handler.py``; ``replaced`` are names in it to set anew."""
    path = ROOT / "functions" / folder / "handler.py"
    spec = importlib.util.spec_from_file_location(f"handler_{folder}", path)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in replaced.items():
        assert hasattr(module, name), f"{path} has no {name}"
        setattr(module, name, value)
    return lambda event: module.handler(event, Context())


@functools.lru_cache(maxsize=32)
def _program(definition: str) -> tuple[Any, None]:
    """Parse a definition once for the engine's validation and all executions, which share it.

    Nothing that runs changes it. The engine does not look at the tree beside it.
    """
    return _parse(definition)[0], None


@functools.lru_cache(maxsize=1024)
def _parsed(expression: str) -> Any:
    parsed = jsonata.Jsonata(expression)
    # Step Functions' own addition to JSONata; the engine binds only what the language has.
    parsed.register_lambda("parse", json.loads)
    return parsed


def _null(value: Any) -> Any:
    """The same with JSONata's null for ``None``, which would be its "undefined"."""
    if isinstance(value, dict):
        return {name: _null(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_null(one) for one in value]
    return Utils.NULL_VALUE if value is None else value


def _evaluate(expression: str) -> Any:
    """Evaluate what the engine composed: ``($a:=<JSON>;$b:=<JSON>;<the definition's own text>)``.

    The values are bound instead of parsed, which takes longer than everything else; from the first
    one on that is no plain JSON they stay in the text.
    """
    found = _COMPOSED.match(expression)
    if found is None:
        return _parsed(expression).evaluate(None)
    bound: dict[str, Any] = {}
    at = found.end()
    while declared := _DECLARED.match(expression, at):
        try:
            value, end = _JSON.raw_decode(expression, declared.end())
        except ValueError:
            break
        bound[declared[1]], at = _null(value), end + 1
    return _parsed(found[0] + expression[at:]).evaluate(None, bound)


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
        try:
            answer = self._functions[name](json.loads(json.dumps(event)))
        except Exception as error:  # noqa: BLE001 - Lambda too answers any error with its class name
            body = {
                "errorType": type(error).__name__,
                # As a handler's entry point raises it.
                "errorMessage": Failure.of(error).to_cause()
                if isinstance(error, LifecycleError)
                else str(error),
                "stackTrace": traceback.format_tb(error.__traceback__)[-1:],
            }
            return self._answer(body, {"FunctionError": "Unhandled"})
        return self._answer(answer, {})

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


@functools.cache
def _definition(name: str, functions: tuple[str, ...]) -> str:
    text = (ROOT / "statemachines" / f"{name}.asl.yaml").read_text()
    for function in functions:
        text = text.replace(f"${{{function}}}", function)
    text = text.replace("${Partition}", "aws")
    assert "${" not in text, "a substitution of the definition has no function"
    return json.dumps(yaml.safe_load(text))


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

    monkeypatch.setattr(bridge, "_eval_jsonata", _evaluate)
    aws_lambda = _Lambda(functions, calls)
    monkeypatch.setattr(lambdas, "boto_client_for", lambda **_: aws_lambda)
    monkeypatch.setattr(WaitFunction, "_wait_interval", wait)
    retry_time = SimpleNamespace(sleep=lambda seconds: wait(None, None, int(seconds)))
    monkeypatch.setattr(retries, "time", retry_time)
    monkeypatch.setattr(AmazonStateLanguageParser, "parse", staticmethod(_program))
    # An execution is over when it was started: nothing has to be asked for again and again.
    monkeypatch.setattr(ExecutionWorker, "start", SyncExecutionWorker.start)

    # The engine itself, without API, client and credentials: each call of those takes as long as
    # several states.
    backend = StepFunctionsParserBackend(REGION, ACCOUNT)
    text = _definition(definition, tuple(functions))
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
