"""Release the lock of an execution that was aborted, timed out or failed."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.common import cleaner


@entry_point
def handler(event: Event, _context: Any) -> Event:
    return cleaner().clean_up(event)
