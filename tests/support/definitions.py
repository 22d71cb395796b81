"""The state machines' definitions and the real handlers, for whatever runs the one on the other."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonata
import yaml
from jsonata.utils import Utils
from lifecycle.errors import Failure, LifecycleError

ROOT = Path(__file__).parents[2]
REGION = "eu-central-1"
ACCOUNT = "123456789012"

Function = Callable[[dict[str, Any]], Any]


_REQUESTS = itertools.count(1)


@dataclass(frozen=True)
class Context:
    """What Lambda hands to a handler beside the event."""

    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    aws_request_id: str = field(default_factory=lambda: f"request-{next(_REQUESTS)}")

    def get_remaining_time_in_millis(self) -> int:
        """What is left of a minute that has just begun."""
        return 60_000


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


def execution_arn(definition: str, name: str) -> str:
    """ARN of an execution."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{definition}:{name}"


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


@functools.cache
def definition(name: str, functions: tuple[str, ...]) -> str:
    """``statemachines/<name>.asl.yaml`` as JSON, each function under its own name."""
    text = (ROOT / "statemachines" / f"{name}.asl.yaml").read_text()
    for function in functions:
        text = text.replace(f"${{{function}}}", function)
    text = text.replace("${Partition}", "aws")
    assert "${" not in text, "a substitution of the definition has no function"
    return json.dumps(yaml.safe_load(text))


def invoke(functions: Mapping[str, Function], name: str, event: Any) -> tuple[Any, bool]:
    """Call a function as Lambda does: JSON in, JSON out. Give its payload, and whether it failed.

    https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
    """
    try:
        answer = functions[name](json.loads(json.dumps(event)))
    except Exception as error:  # noqa: BLE001 - Lambda too answers any error with its class name
        body = {
            "errorType": type(error).__name__,
            # As a handler's entry point raises it.
            "errorMessage": Failure.of(error).to_cause()
            if isinstance(error, LifecycleError)
            else str(error),
            "stackTrace": traceback.format_tb(error.__traceback__)[-1:],
        }
        return body, True
    return json.loads(json.dumps(answer)), False


@functools.lru_cache(maxsize=1024)
def parsed(expression: str) -> Any:
    """Parse a JSONata expression, which knows Step Functions' own addition to the language.

    https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
    """
    found = jsonata.Jsonata(expression)
    found.register_lambda("parse", json.loads)
    return found


def with_nulls(value: Any) -> Any:
    """The same with JSONata's null for ``None``, which would be its "undefined"."""
    if isinstance(value, dict):
        return {name: with_nulls(one) for name, one in value.items()}
    if isinstance(value, list):
        return [with_nulls(one) for one in value]
    return Utils.NULL_VALUE if value is None else value
