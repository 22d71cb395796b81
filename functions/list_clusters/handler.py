"""Name all clusters of the control plane."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring import cluster_locator


@entry_point
def handler(_event: Event, _context: Any) -> Event:
    return {"clusters": cluster_locator().all()}
