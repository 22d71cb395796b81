"""Validate a restart request; read-only."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.restart.validate_restart import validate_restart
from lifecycle.wiring.common import settings, stacks


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return validate_restart(event["input"], control_stack=settings().control_stack, stacks=stacks())
