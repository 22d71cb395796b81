"""One HTTP exchange with one address, which reports whether anything was sent when it fails.

The difference decides whether a write may be repeated, and general HTTP clients hide it.
Environment proxies and redirects are not followed: these are calls inside a VPC.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The largest answer known, of 30 brokers with 200 partitions, three copies each, is a tenth of it.
_LARGEST_BODY = 1024 * 1024


class NothingSent(Exception):
    """No connection was made, so the other side did not receive the request."""


class NoAnswer(Exception):
    """The request was (or may have been) sent, and no complete answer came."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to connect, and seconds of silence allowed while waiting for an answer.

    The management API gives up on its coordinator after 10 s and then answers 504; waiting for
    less would hide that answer.
    """

    connect: float = 2.0
    read: float = 12.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect to: an address that was resolved, and the name it was resolved from."""

    address: str
    port: int
    host: str
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request; headers are in no representation, since they may carry credentials."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer, and where a redirect leads (``Location``).

    ``certificate_until`` is the end (epoch seconds) of the certificate that was verified for the
    endpoint's host; None in clear.
    """

    status: int
    body: bytes
    content_type: str = ""
    certificate_until: int | None = None
    location: str = ""


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Resolve a name to all its addresses, each once, in the order given.

    Raises ``NothingSent`` when the name does not resolve.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NothingSent(f"{host} does not resolve: {error}") from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect(endpoint: Endpoint, timeouts: Timeouts) -> socket.socket:
    """Open a connection, with the read time-out set.

    Raises ``NothingSent``; ``ssl.SSLCertVerificationError`` when the certificate is not trusted.
    """
    where = f"{endpoint.address}:{endpoint.port}"
    try:
        connection = socket.create_connection((endpoint.address, endpoint.port), timeouts.connect)
    except TimeoutError as error:
        raise NothingSent(f"{where} did not accept within {timeouts.connect:g} s") from error
    except OSError as error:
        raise NothingSent(f"{where}: {error.strerror or error}") from error
    try:
        if endpoint.tls is not None:
            connection = endpoint.tls.wrap_socket(connection, server_hostname=endpoint.host)
        connection.settimeout(timeouts.read)
    except ssl.SSLCertVerificationError:
        connection.close()
        raise
    except OSError as error:
        connection.close()
        raise NothingSent(f"{where}: no TLS connection: {error}") from error
    return connection


def certificate_until(connection: socket.socket) -> int | None:
    """Return the end (epoch seconds) of the peer's certificate, if it was verified; None if not.

    ``SSLSocket.getpeercert`` gives fields of a certificate only after its validation.
    """
    if not isinstance(connection, ssl.SSLSocket):
        return None
    ends = (connection.getpeercert() or {}).get("notAfter")
    return int(ssl.cert_time_to_seconds(ends)) if isinstance(ends, str) else None


def exchange(endpoint: Endpoint, request: Request, timeouts: Timeouts) -> Answer:
    """Send one request and read its answer.

    Raises ``NothingSent`` or ``NoAnswer``; ``ssl.SSLCertVerificationError`` as ``connect`` does.
    """
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
    if endpoint.tls is not None:
        # No port in the Host header where it is that of https (RFC 9110, 7.2).
        connection.default_port = http.client.HTTPS_PORT
    connection.sock = connect(endpoint, timeouts)
    until = certificate_until(connection.sock)
    where = f"{endpoint.address}:{endpoint.port}"
    try:
        connection.request(request.method, request.path, request.body, dict(request.headers))
        response = connection.getresponse()
        body = response.read(_LARGEST_BODY + 1)
    except TimeoutError as error:
        raise NoAnswer(f"{where} did not answer within {timeouts.read:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{where} closed the connection without an answer: {error}") from error
    finally:
        connection.close()
    if len(body) > _LARGEST_BODY:
        raise NoAnswer(f"{where} answered with more than {_LARGEST_BODY} bytes")
    location = response.headers.get("Location", "")
    return Answer(response.status, body, response.headers.get_content_type(), until, location)


def authorized(
    endpoint: Endpoint, request: Request, timeouts: Timeouts, authorizations: Iterable[str]
) -> Answer:
    """Send a request with a value of ``Authorization``, and again with the next one after a 401.

    With 401 the server did nothing (RFC 9110, 15.5.2). Raises as ``exchange`` does.
    """
    answer = Answer(HTTPStatus.UNAUTHORIZED, b"")
    for value in authorizations:
        headers = {**request.headers, "Authorization": value}
        answer = exchange(endpoint, replace(request, headers=headers), timeouts)
        if answer.status != HTTPStatus.UNAUTHORIZED:
            break
    return answer
