"""In-memory fake of an event bus."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.operation.events import Event


@dataclass
class FakeEvents:
    """Events that were sent, oldest first."""

    sent: list[Event] = field(default_factory=list)

    def send(self, event: Event) -> None:
        """Send an event."""
        self.sent.append(event)
