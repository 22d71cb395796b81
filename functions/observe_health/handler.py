"""Observe a cluster through the AWS APIs."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.health import health_observer


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return health_observer().look(event["cluster"])
