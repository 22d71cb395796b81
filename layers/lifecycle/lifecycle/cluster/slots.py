"""How many calls of one kind run at once, over all functions of the control plane."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.cluster.ports import Clock, Slots

# Longer than API Gateway waits for any function: a slot that is not given back by then belongs to
# a function that was killed.
SLOT_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Limiter:
    """The most calls that run at once, and its ports. ``new_token`` names a call."""

    slots: Slots
    clock: Clock
    new_token: Callable[[], str]
    most: int

    @contextlib.contextmanager
    def slot(self) -> Iterator[bool]:
        """Take a slot for the block and give it back after it; false where none is free."""
        token = self.new_token()
        taken = self._take(token)
        try:
            yield taken is not None
        finally:
            if taken is not None:
                self.slots.give_back(taken, token)

    def _take(self, token: str) -> int | None:
        now = epoch(self.clock.now())
        for number in range(self.most):
            if self.slots.take(number, token, now=now, until=now + SLOT_SECONDS):
                return number
        return None
