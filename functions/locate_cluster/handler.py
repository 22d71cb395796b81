"""Find the cluster of a health check."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.health import cluster_locator


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return cluster_locator().locate(event["input"], event["began"])
