"""Validate a teardown request and plan it; read-only."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.teardown import teardown_planner


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return teardown_planner().plan(event["input"])
