"""Remove a plan that has expired; called by its one-time schedule."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.plans import discarder


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return discarder().discard(
        cluster=event["cluster"],
        stack=event["stack"],
        change_set=event["changeSetName"],
        operation_id=event.get("operationId", ""),
    )
