"""Create the ECS services, or update them as far as no broker is replaced."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import service_starter


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return service_starter().start(
        Operation.from_state(event["operation"]),
        event["cluster"],
        planned=event["planned"],
        schema_made=event["schemaMade"],
    )
