"""Check a request for provisioning, or for a plan of it; nothing is changed."""

from __future__ import annotations

from typing import Any

from lifecycle.core.parameters import cluster_parameters
from lifecycle.observability import Event, entry_point
from lifecycle.operations.validate_request import (
    as_state,
    plan_as_state,
    validate_plan,
    validate_request,
)
from lifecycle.wiring import settings, stacks


@entry_point
def handler(event: Event, _context: Any) -> Event:
    control_stack = settings().control_stack
    known: dict[str, Any] = {
        "control_stack": control_stack,
        "declarations": cluster_parameters(),
        "stacks": stacks(),
    }
    if event["machine"] == "plan":
        return plan_as_state(validate_plan(event["input"], **known), control_stack)
    return as_state(validate_request(event["input"], **known), control_stack)
