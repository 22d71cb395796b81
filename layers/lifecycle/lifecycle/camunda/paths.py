"""Result of a request through a load balancer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PathSeen:
    """Result of a request to a path, as text; ``error`` names the error that ended it, if any.

    ``host`` is the name for which the server's certificate was verified, by its chain and by its
    names, and ``until`` its end in epoch seconds; empty and 0 in clear.
    """

    ok: bool
    seen: str
    host: str = ""
    until: int = 0
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)
