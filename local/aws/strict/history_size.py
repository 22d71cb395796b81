"""The history of a standard execution has a length that Step Functions limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import stepfunctions as engine
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.aws.strict import Strictness

LIMIT: Final = 25_000
_ENDS: Final = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted")


def install(_strictness: Strictness) -> None:
    """Count the events of each execution as AWS writes them."""
    engine.add_event = counted(engine.add_event)


def events_on_aws(kinds: Iterable[str]) -> int:
    """How many events AWS writes where the emulator writes these.

    A task that is scheduled has an event `TaskStarted` as well.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
    """
    return sum(2 if kind == "TaskScheduled" else 1 for kind in kinds)


def counted(own: Callable[..., Any]) -> Callable[..., Any]:
    """Add events as `own` does, up to the limit."""

    def add(execution: dict[str, Any], kind: str, details: Any = None) -> Any:
        event = own(execution, kind, details)
        written = execution.get("_eventsOnAws", 0) + events_on_aws([kind])
        execution["_eventsOnAws"] = written
        if written >= LIMIT and kind not in _ENDS and not _is_express(execution):
            raise engine.ExecutionError(
                "States.Runtime",
                f"The execution reached the maximum number of history events ({LIMIT}).",
            )
        return event

    return add


def _is_express(execution: dict[str, Any]) -> bool:
    machine = engine.state_machines.get(execution["stateMachineArn"]) or {}
    return bool(machine.get("type") == "EXPRESS")


RULE: Final = Rule(
    name="history-size",
    does="An execution of a standard state machine fails at its 25,000th event, unless that event"
    " is its success.",
    source="https://docs.aws.amazon.com/step-functions/latest/dg/bp-history-limit.html",
    caught="nothing yet: at their slowest, the state machines time out first.",
    install=install,
)
