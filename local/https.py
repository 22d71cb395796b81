"""One request to a server that is known by name, at an address of the VPC's name resolution.

The certificate is verified for the name against `SSL_CERT_FILE`, or the system's roots. Redirects
are not followed: a token or secret would travel along.
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

type Resolve = Callable[[str, int], Sequence[tuple[str, int]]]
"""Gives where a connection to a name and port goes."""


class Unreachable(Exception):
    """No address answered, or none with a certificate for the name; the message names both."""


@dataclass(frozen=True)
class Response:
    """A complete answer."""

    status: int
    body: bytes

    def document(self) -> dict[str, Any]:
        """Give the JSON object of the body; an empty one for anything else."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class _Verified(http.client.HTTPSConnection):
    """Connects to an address, and verifies the certificate for the name in the URL."""

    def __init__(
        self, host: str, port: int, to: tuple[str, int], seconds: float, trust: str
    ) -> None:
        super().__init__(host, port, timeout=seconds)
        self._to = to
        self._trust = trust

    def connect(self) -> None:
        plain = socket.create_connection(self._to, self.timeout)
        try:
            self.sock = _context(self._trust).wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


@functools.cache
def _context(trust: str) -> ssl.SSLContext:
    """Read the roots once: there are a hundred and more."""
    return ssl.create_default_context(cafile=trust or None)


def direct(name: str, port: int) -> tuple[tuple[str, int], ...]:
    """Resolve as the machine does."""
    return ((name, port),)


def call(
    method: str,
    url: str,
    *,
    resolve: Resolve = direct,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    seconds: float = 5.0,
    trust: Path | None = None,
) -> Response:
    """Call an https or http URL, one address after another. Raises Unreachable.

    `trust` has other roots than those of the process.
    """
    roots = str(trust or os.environ.get("SSL_CERT_FILE", ""))
    parts = urlsplit(url)
    secure, name = parts.scheme == "https", parts.hostname or ""
    port = parts.port or (443 if secure else 80)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    sent = {"Accept": "application/json", **(headers or {})}
    body = None
    if form is not None:
        body = urlencode(form)
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    problem = f"{name} does not resolve"
    for to in resolve(name, port):
        connection = (
            _Verified(name, port, to, seconds, roots)
            if secure
            else http.client.HTTPConnection(*to, timeout=seconds)
        )
        try:
            connection.request(method, path or "/", body, sent)
            answer = connection.getresponse()
            return Response(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            problem = f"{name} at {to[0]}:{to[1]}: {error}"
        finally:
            connection.close()
    raise Unreachable(problem)
