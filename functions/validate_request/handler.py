"""Check a provision request; nothing is changed."""

from __future__ import annotations

from typing import Any

from lifecycle.core.parameters import cluster_parameters
from lifecycle.observability import Event, entry_point
from lifecycle.operations.validate_request import as_state, validate_request
from lifecycle.wiring import settings, stacks


@entry_point
def handler(event: Event, _context: Any) -> Event:
    control_stack = settings().control_stack
    request = validate_request(
        event["input"],
        control_stack=control_stack,
        declarations=cluster_parameters(),
        stacks=stacks(),
    )
    return as_state(request, control_stack)
