"""Make the brokers' IAM user in Aurora, and prove that it can log in."""

from __future__ import annotations

from typing import Any

from lifecycle.core.operation import Operation
from lifecycle.observability import Event, entry_point
from lifecycle.wiring import database_seeder


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return database_seeder().seed(Operation.from_state(event["operation"]), event["cluster"])
