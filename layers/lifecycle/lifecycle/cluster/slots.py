"""How many calls of one kind run at once, over all functions of the control plane."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.errors import LifecycleError
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.cluster.ports import Clock, Slots

# Longer than the probe and the machine of a health check run: a slot that is not given back by then
# belongs to calls that have ended.
SLOT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Limiter:
    """The most calls that run at once, and its ports. ``new_token`` names a call."""

    slots: Slots
    clock: Clock
    new_token: Callable[[], str]
    most: int

    @contextlib.contextmanager
    def slot(self) -> Iterator[bool]:
        """Take a slot for the block and give it back after it; false where none is free.

        After an error of a client (a read that timed out) the slot is kept until it expires: what
        was called may run on.
        """
        token = self.new_token()
        taken = self._take(token)
        try:
            yield taken is not None
        except LifecycleError:
            self._give_back(taken, token)
            raise
        self._give_back(taken, token)

    def _give_back(self, taken: int | None, token: str) -> None:
        if taken is not None:
            self.slots.give_back(taken, token)

    def _take(self, token: str) -> int | None:
        now = epoch(self.clock.now())
        for number in range(self.most):
            if self.slots.take(number, token, now=now, until=now + SLOT_SECONDS):
                return number
        return None
