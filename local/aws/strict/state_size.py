"""Step Functions limits the size of what states pass on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import stepfunctions as engine
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.strict import Strictness

LIMIT: Final = 256 * 1024
"""Bytes of an input, a result, an output, and of all variables that one state assigns."""
ERROR: Final = "States.DataLimitExceeded"


NAME: Final = "state-size"
_on: list[Strictness] = []


def install(strictness: Strictness) -> None:
    """Measure everything that enters or leaves a state."""
    _on[:] = [strictness]
    engine.execute_choice = _measured_output(engine.execute_choice)
    engine.execute_map = _measured_output(engine.execute_map)
    engine.execute_parallel = _measured_output(engine.execute_parallel)
    engine.execute_pass = _measured_output(engine.execute_pass)
    engine.execute_task = _measured_output(engine.execute_task)
    engine.execute_wait = _measured_output(engine.execute_wait)
    engine.invoke_resource = _measured_call(engine.invoke_resource)
    engine.apply_state_assign = _measured_variables(engine.apply_state_assign)


def size(value: Any) -> int:
    """Bytes of a value as Step Functions carries it: JSON as a UTF-8 text."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _refuse_oversized(value: Any, what: str) -> None:
    if size(value) > LIMIT and _on[0].on(NAME):
        raise engine.ExecutionError(
            ERROR,
            f"The state/task '{what}' returned a result with a size exceeding the maximum number of"
            " bytes service limit.",
        )


def _measured_output(own: Callable[..., Any]) -> Callable[..., Any]:
    def execute(state: dict[str, Any], given: Any, *rest: Any) -> Any:
        output, following = own(state, given, *rest)
        # The last argument is the context object; each kind of state has it.
        _refuse_oversized(output, rest[-1]["State"]["Name"])
        return output, following

    return execute


def _measured_call(own: Callable[..., Any]) -> Callable[..., Any]:
    def invoke(resource: str, given: Any) -> Any:
        _refuse_oversized(given, resource)
        result = own(resource, given)
        _refuse_oversized(result, resource)
        return result

    return invoke


def _measured_variables(own: Callable[..., Any]) -> Callable[..., Any]:
    def assign(state: dict[str, Any], given: Any, context: Any, **more: Any) -> None:
        own(state, given, context, **more)
        names = state.get("Assign")
        if context is not None and isinstance(names, dict):
            assigned = {name: context.get("variables", {}).get(name) for name in names}
            _refuse_oversized(assigned, context["State"]["Name"])

    return assign


RULE: Final = Rule(
    name=NAME,
    does="Input, result and output of a state, and the variables it assigns, are limited to 256"
    " KiB each; more fails the execution with `States.DataLimitExceeded`, which `States.ALL` does"
    " not catch.",
    source="https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html",
    caught="a health check at the declared maxima (30 brokers, 200 partitions, 5 replicas, a"
    " pending change) carried up to 395 KB, so there was no verdict.",
    install=install,
)
