"""Take the cluster's lock for this operation and write its record."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.common import announcer, journal


@entry_point
def handler(event: Event, _context: Any) -> Event:
    operation = Operation.from_state(event["operation"])
    journal().begin(operation)
    announcer().started(operation)
    return {"begun": True}
