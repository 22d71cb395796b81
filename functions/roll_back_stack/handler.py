"""Roll back a failed stack update, so that the stack accepts another one."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import stack_changer


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return stack_changer().roll_back(
        Operation.from_state(event["operation"]), stack=event["request"]["stack"]
    )
