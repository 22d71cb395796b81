"""Clean up after a failed plan and report the cause."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.operation.finish import read_error
from lifecycle.operation.model import Operation
from lifecycle.wiring.plans import planner


@entry_point
def handler(event: Event, _context: Any) -> Event:
    error, cause = read_error(event["error"])
    return planner().fail(
        Operation.from_state(event["operation"]),
        request=event["request"],
        error=error,
        cause=cause,
    )
