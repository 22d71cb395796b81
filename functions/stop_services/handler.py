"""Set services that this operation raised from zero back to zero."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import service_starter


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return service_starter().roll_back(
        Operation.from_state(event["operation"]), event["cluster"], scaled_up=event["scaledUp"]
    )
