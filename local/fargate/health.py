"""Container health checks: those of the task definition, run without the container's shell."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL = re.compile(r"https?://[^\s'\"|;)]+")
_LOCAL = {"localhost", "127.0.0.1", "[::1]"}


@dataclass(frozen=True)
class ContainerCheck:
    """One HTTP request to the task's own address. Times in seconds; defaults are those of ECS."""

    address: str
    port: int
    path: str
    interval: float
    timeout: float
    retries: int
    start_period: float


def parse_check(health_check: Mapping[str, Any], address: str) -> ContainerCheck | None:
    """Read a `healthCheck` whose command calls a URL on localhost; None for any other command.

    The command itself (`wget --spider …`) belongs to the image, which does not exist here.
    """
    found = _URL.search(" ".join(health_check.get("command", ())))
    url = urlsplit(found.group()) if found else None
    if url is None or url.hostname not in _LOCAL:
        return None
    return ContainerCheck(
        address=address,
        port=url.port or 80,
        path=url.path or "/",
        interval=float(health_check.get("interval", 30)),
        timeout=float(health_check.get("timeout", 5)),
        retries=int(health_check.get("retries", 3)),
        start_period=float(health_check.get("startPeriod", 0)),
    )


@dataclass(frozen=True)
class ContainerHealth:
    """UNKNOWN until the first success; failures do not count before one in the start period."""

    status: str = "UNKNOWN"
    failures: int = 0

    def observe(self, ok: bool, *, retries: int, starting: bool) -> ContainerHealth:
        """Give the state after one more result; `starting`: still in the start period."""
        if ok:
            return ContainerHealth("HEALTHY")
        if starting and self.status == "UNKNOWN":
            return self
        failures = self.failures + 1
        return replace(
            self,
            status="UNHEALTHY" if failures >= retries else self.status,
            failures=failures,
        )
