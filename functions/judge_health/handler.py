"""Evaluate a health check, store it, publish metrics, announce a change."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.health import health_judge


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return health_judge().judge(event["subject"], event["inside"], event["outside"])
