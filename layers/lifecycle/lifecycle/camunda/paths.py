"""What was seen of a way through a load balancer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PathSeen:
    """What came of asking a path, in words; ``error`` names the error that ended it, if one did.

    ``host`` is the name for which the server's certificate was verified, by its chain and by its
    names, and ``until`` its end in epoch seconds; empty and 0 in clear.
    """

    ok: bool
    seen: str
    host: str = ""
    until: int = 0
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)
