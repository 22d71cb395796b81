"""Observe a cluster from inside the VPC: brokers, database, leases."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.health import health_prober


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return health_prober().look(event["cluster"])
