"""In-memory twin of one-time schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class MemorySchedules:
    """Schedules by name: when, and with what the function is called."""

    schedules: dict[str, tuple[datetime, dict[str, str]]] = field(default_factory=dict)

    def once(self, name: str, *, at: datetime, payload: Mapping[str, str]) -> bool:
        """Remember the first schedule of that name."""
        new = name not in self.schedules
        self.schedules.setdefault(name, (at, dict(payload)))
        return new
