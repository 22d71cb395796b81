"""In-memory fake of one-time schedules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass
class FakeSchedules:
    """Schedules by name: when, and with what the function is called."""

    schedules: dict[str, tuple[datetime, dict[str, str]]] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    def has(self, name: str) -> bool:
        """Whether it is there still."""
        return name in self.schedules

    def once(
        self, name: str, *, at: datetime, payload: Mapping[str, str], keep: bool = False
    ) -> None:
        """Remember the first schedule of that name."""
        self.schedules.setdefault(name, (at, dict(payload)))
        if keep:
            self.kept.add(name)

    def cancel(self, name: str) -> None:
        """Forget it."""
        self.schedules.pop(name, None)

    def fire(self, now: datetime) -> list[dict[str, str]]:
        """Give what is due, and forget what is not kept."""
        due = {name: payload for name, (at, payload) in self.schedules.items() if at <= now}
        for name in due.keys() - self.kept:
            del self.schedules[name]
        return list(due.values())
