"""Result of a request through a load balancer, and where a login has to lead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit


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


@dataclass(frozen=True, slots=True)
class SignIn:
    """Where a browser without a session has to be sent (RFC 6749, section 4.1.1)."""

    authorization_endpoint: str
    client_id: str
    redirect_uri: str

    def fault(self, location: str) -> str:
        """Return what is wrong with a URL to which Camunda redirects; empty if it is right."""
        url, wanted = urlsplit(location), urlsplit(self.authorization_endpoint)
        if (url.scheme, url.netloc, url.path) != (wanted.scheme, wanted.netloc, wanted.path):
            return f"it does not lead to {self.authorization_endpoint}"
        query = parse_qs(url.query)
        for name, value in (("client_id", self.client_id), ("redirect_uri", self.redirect_uri)):
            given = query.get(name, [])
            if given != [value]:
                shown = ", ".join(given)[:200] or "nothing"
                return f"its {name} is {shown}, expected is {value}"
        return ""
