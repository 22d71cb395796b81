"""How long to wait before looking again. Seconds; the waiting itself is the state machine's."""

from __future__ import annotations

from typing import Final

SHORTEST: Final = 5
LONGEST: Final = 30


def next_wait(polls: int, *, near_end: bool) -> int:
    """Seconds until the next look, after ``polls`` looks at the same thing.

    Backs off from 5 s to 30 s so that an hour's wait costs few transitions, and comes back to 5 s
    when the end is near, so that nobody waits half a minute for nothing.
    """
    if near_end:
        return SHORTEST
    # 5, 5, 7, 10, 15, 22, 30, 30 ...
    return min(LONGEST, int(SHORTEST * 1.45 ** max(0, polls - 1)))
