"""One health check over HTTP or TCP, and the effect of a series of results."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Answer:
    """The result: an HTTP status, or why there is none."""

    status: int | None
    problem: str = ""


def ask_http(address: str, port: int, path: str, timeout: float) -> Answer:
    """GET `path`; redirects are not followed, as load balancers do not."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"User-Agent": "ELB-HealthChecker/2.0"})
        return Answer(connection.getresponse().status)
    except TimeoutError:
        return Answer(None, "Request timed out")
    except (OSError, http.client.HTTPException):
        return Answer(None, "Health checks failed")
    finally:
        connection.close()


def ask_tcp(address: str, port: int, timeout: float) -> Answer:
    """Whether something listens; status 200 stands for yes."""
    try:
        with socket.create_connection((address, port), timeout):
            return Answer(200)
    except OSError:
        return Answer(None, "Health checks failed")


def matches(status: int, codes: str) -> bool:
    """Whether `status` is among `codes`, such as `200`, `200,202` or `200-299`."""
    for part in codes.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


@dataclass(frozen=True)
class Streak:
    """The state of something that is checked repeatedly.

    The first success is enough to leave `initial` (Elastic Load Balancing: "it must pass one
    health check to be considered healthy"); after that each turn needs as many answers in a row
    as its threshold says.
    """

    healthy_after: int
    unhealthy_after: int
    state: str = "initial"
    row: int = 0

    def observe(self, ok: bool) -> Streak:
        """Give the state after one more result."""
        towards = "healthy" if ok else "unhealthy"
        if self.state == towards:
            return replace(self, row=0)
        needed = self.unhealthy_after if not ok else self.healthy_after
        if self.row + 1 >= needed or (ok and self.state == "initial"):
            return replace(self, state=towards, row=0)
        return replace(self, row=self.row + 1)
