"""In-memory fake of the slots of calls that are limited."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class FakeSlots:
    """Token and end of each slot that is taken."""

    taken: dict[int, tuple[str, int]] = field(default_factory=dict)

    def take(self, number: int, token: str, *, now: int, until: int) -> bool:
        """Take a slot that is free or has expired."""
        if number in self.taken and self.taken[number][1] > now:
            return False
        self.taken[number] = (token, until)
        return True

    def give_back(self, number: int, token: str) -> None:
        """Free a slot, if it was not taken by another since."""
        if number in self.taken and self.taken[number][0] == token:
            del self.taken[number]
