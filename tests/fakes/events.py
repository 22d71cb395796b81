"""In-memory fake of an event bus."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.operation.events import Event


@dataclass
class FakeEvents:
    """Events that were sent, oldest first; while ``failing``, none is."""

    sent: list[Event] = field(default_factory=list)
    failing: bool = False

    def send(self, event: Event) -> bool:
        """Send an event."""
        if self.failing:
            return False
        self.sent.append(event)
        return True
