"""In-memory fake of a topic."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class FakeMessages:
    """Messages that were sent, oldest first; ``failing`` makes the next ones fail."""

    sent: list[tuple[str, str]] = field(default_factory=list)
    failing: Exception | None = None

    def publish(self, subject: str, text: str) -> None:
        """Send a message."""
        if self.failing is not None:
            raise self.failing
        self.sent.append((subject, text))
