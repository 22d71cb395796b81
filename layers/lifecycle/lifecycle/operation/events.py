"""Events of an operation on EventBridge: one event when it starts, one when it ends.

Documented in ``docs/events.md`` and ``docs/events.schema.json``; both are part of the interface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.operation.model import Operation

SOURCE: Final = "camunda.ecs.lifecycle"
STARTED: Final = "Lifecycle Operation Started"
ENDED: Final = "Lifecycle Operation Ended"
HEALTH_CHANGED: Final = "Cluster Health Changed"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its detail type, its detail, and the ARNs it is about."""

    detail_type: str
    detail: Mapping[str, object]
    resources: tuple[str, ...]


def started(operation: Operation, *, control_stack: str, principal: str) -> Event:
    """Describe that an operation holds its cluster; ``principal`` is empty when AWS gives none."""
    return Event(STARTED, _identity(operation, control_stack, principal), _resources(operation))


def ended(
    operation: Operation,
    *,
    control_stack: str,
    principal: str,
    result: str,
    error: str,
    report_key: str,
    ended_at: str,
) -> Event:
    """Describe how an operation ended; ``error`` is its name only, its message is in the report."""
    detail = {
        **_identity(operation, control_stack, principal),
        "endedAt": ended_at,
        "result": result,
        "error": error or None,
        "reportKey": report_key,
    }
    return Event(ENDED, detail, _resources(operation))


def health_changed(
    report: Mapping[str, object], *, before: str, now: str, control_stack: str, notify_from: str
) -> Event:
    """Describe a change of the notified verdict on a cluster; ``report`` is the check's report.

    ``changedAt`` identifies the change: an event that is sent again has a later check's findings.
    ``notify_from`` is the parameter ``NotifyFrom`` of the cluster.
    """
    detail = {
        "version": "1",
        "controlStack": control_stack,
        "cluster": report["cluster"],
        "verdict": now,
        "previous": before,
        "changedAt": report["notifiedAt"],
        "checkedAt": report["checkedAt"],
        "since": report["since"],
        "notifyFrom": notify_from,
        "findings": report["findings"],
    }
    return Event(HEALTH_CHANGED, detail, ())


def _identity(operation: Operation, control_stack: str, principal: str) -> dict[str, object]:
    return {
        "version": "1",
        "controlStack": control_stack,
        "cluster": operation.cluster,
        "machine": operation.machine,
        "operationId": operation.operation_id,
        "principal": principal or None,
        "startedAt": operation.started_at,
    }


def _resources(operation: Operation) -> tuple[str, ...]:
    return (operation.execution_arn,)
