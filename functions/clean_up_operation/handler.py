"""Free a cluster whose execution was aborted, timed out or failed."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.operations.clean_up_operation import clean_up
from lifecycle.wiring import journal


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return clean_up(event, journal())
