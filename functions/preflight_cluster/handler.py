"""Run preflight checks before any change."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.provisioning import preflight


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return preflight().check(event["request"], planning=event["planning"])
