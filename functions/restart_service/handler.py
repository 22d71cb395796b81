"""Take the next step of restarting brokers, one at a time, or the connectors."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.restart import service_restarter


@entry_point
def handler(event: Event, _context: Any) -> Event:
    request = event["request"]
    return service_restarter().restart(
        Operation.from_state(event["operation"]),
        event["cluster"],
        service=request["service"],
        broker=request["broker"],
        memory=event["memory"],
    )
