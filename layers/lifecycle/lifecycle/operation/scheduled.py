"""What only a cluster's own schedule gives the machine that it starts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.validation import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEDULED: Final = "scheduledAt"
"""When the schedule was due. What it starts is left out while the cluster is not free."""


def is_scheduled(raw: Mapping[str, object]) -> bool:
    """Return whether a schedule gave this request."""
    return SCHEDULED in raw


def scheduled_problems(raw: Mapping[str, object]) -> list[Problem]:
    """Check the moment of a request, as EventBridge Scheduler writes it.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    if not is_scheduled(raw) or _is_moment(raw[SCHEDULED]):
        return []
    rule = "the time at which a schedule was due, such as 2026-01-31T02:30:00Z"
    return [Problem(SCHEDULED, raw[SCHEDULED], rule)]


def _is_moment(given: object) -> bool:
    try:
        return isinstance(given, str) and datetime.fromisoformat(given).tzinfo is not None
    except ValueError:
        return False
