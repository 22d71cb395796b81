"""Send Camunda one cluster change, from inside the VPC."""

from __future__ import annotations

from typing import Any

from lifecycle.core.operation import Operation
from lifecycle.observability import Event, entry_point
from lifecycle.wiring import broker_changer


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return broker_changer().change(
        Operation.from_state(event["operation"]), event["cluster"], count=event["count"]
    )
