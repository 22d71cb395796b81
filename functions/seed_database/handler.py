"""Create the brokers' IAM user in Aurora, or check whether their schema exists."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import database_seeder


@entry_point
def handler(event: Event, _context: Any) -> Event:
    operation = Operation.from_state(event["operation"])
    if event.get("question") == "schema":
        return database_seeder().check_schema(operation, event["cluster"])
    return database_seeder().seed(operation, event["cluster"])
