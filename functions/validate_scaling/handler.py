"""Validate a scale request; read-only."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.scaling.validate import validate_scaling
from lifecycle.wiring.common import settings, stacks


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return validate_scaling(event["input"], control_stack=settings().control_stack, stacks=stacks())
