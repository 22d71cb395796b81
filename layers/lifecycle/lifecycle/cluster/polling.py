"""How long to wait for something, and before the next look at it.

All times are in seconds; the waiting itself is the state machine's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST: Final = 5
LONGEST: Final = 30
# Looks of a wait after which an end that is near no longer shortens it: 25,000 events end an
# execution, whatever it waits for.
OFTEN: Final = 500
# A longer time between two looks is no wait: the execution was stopped and redriven in between, and
# a redrive keeps the variables (https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html).
# Longer than the longest wait and the functions until the next look take together.
LONGEST_BETWEEN_LOOKS: Final = 5 * 60


def next_wait(polls: int, *, near_end: bool) -> int:
    """Seconds until the next look, after ``polls`` looks at the same thing.

    Backs off from 5 s to 30 s so that an hour's wait costs few transitions, and comes back to 5 s
    when the end is near, so that the last wait is short; not after ``OFTEN`` looks.
    """
    if near_end and polls <= OFTEN:
        return SHORTEST
    # 5, 5, 7, 10, 15, 22, 30, 30 ...
    return min(LONGEST, int(SHORTEST * 1.45 ** min(max(0, polls - 1), 5)))


@dataclass(frozen=True, slots=True)
class Wait:
    """How long something has not moved.

    ``mark`` identifies its state, ``since`` (epoch seconds) is when that state was first seen,
    ``looks`` in how many looks, ``seen`` (epoch seconds) is when it was last seen, 0 where that is
    not known. The state machine carries it from look to look.
    """

    mark: str | int
    since: int
    looks: int = 1
    seen: int = 0

    @classmethod
    def at(cls, mark: str | int, now: int, before: Wait | None) -> Wait:
        """Return the wait after one more look at ``now``, in epoch seconds.

        It starts anew where the mark changed, and after a pause: nothing was looked at during
        ``LONGEST_BETWEEN_LOOKS``, or it is not known when the last look was.
        """
        paused = before is not None and now - before.seen > LONGEST_BETWEEN_LOOKS
        if before is None or before.mark != mark or paused:
            return cls(mark, now, seen=now)
        return cls(mark, before.since, before.looks + 1, now)

    @classmethod
    def read(cls, state: Mapping[str, Any] | None) -> Wait | None:
        """Read it as the state machine carries it; None before the first look."""
        return cls(**state) if state else None

    def as_state(self) -> dict[str, Any]:
        """Return it as the state machine carries it."""
        return asdict(self)

    def lasted(self, seconds: int, now: int) -> bool:
        """Whether it has lasted that long at ``now``, in epoch seconds."""
        return now - self.since >= seconds
