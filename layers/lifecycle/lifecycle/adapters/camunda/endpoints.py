"""Verification as a user would do it: HTTP through the ALB, gRPC through the NLB.

Names are resolved once and the address that was judged is the address that is connected to.
"""

from __future__ import annotations

import json
import ssl
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lifecycle.adapters.camunda import http_client
from lifecycle.camunda.credentials import may_travel
from lifecycle.errors import (
    CertificateAuthorityUnknown,
    CertificateRefused,
    CredentialsWithheld,
    EndpointUnreachable,
    HostUnresolved,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from lifecycle.camunda.credentials import Login

_PROBE_TIMEOUTS = http_client.Timeouts(connect=5.0, read=10.0)

# X509_V_ERR_*: self-signed, self-signed in the chain, no local issuer, no chain to verify.
# https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})

# RFC 9113: the client's preface (section 3.4), frame header (4.1), SETTINGS frame (6.5).
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER = struct.Struct(">BHBBI")
_SETTINGS = 0x4
_ACK = 0x1
_EMPTY_SETTINGS = _FRAME_HEADER.pack(0, 0, _SETTINGS, 0, 0)


@dataclass(frozen=True)
class HttpStatus:
    """What a URL answered; ``document`` is the body when it is JSON, else ``None``.

    ``certificate_until`` is the end (epoch seconds) of the certificate that was verified for the
    URL's host; ``None`` in clear. ``location`` is where a redirect leads.
    """

    status: int
    document: object
    content_type: str = ""
    certificate_until: int | None = None
    location: str = ""


@dataclass(frozen=True)
class GrpcAnswer:
    """Whether a gRPC server answered; ``certificate_until`` as for ``HttpStatus``."""

    answers: bool
    certificate_until: int | None = None


def http_status(
    url: str,
    *,
    login: Login | None = None,
    networks: Sequence[str] = (),
    balancer: str = "",
    accept: str = "application/json",
    ca_file: str | None = None,
    timeouts: http_client.Timeouts = _PROBE_TIMEOUTS,
) -> HttpStatus:
    """``GET`` a URL, without following redirects; ``accept`` is the requested media type.

    Certificates are verified against ``ca_file`` (default: the system's). The request goes to
    ``balancer``, AWS's own name of a load balancer, with the URL's host as server name (SNI), in
    the certificate and as ``Host``; without it, to the URL's host. ``login`` travels over
    https to that load balancer, or to an address inside ``networks`` (CIDRs of the VPC), and
    nowhere else.
    Raises ``EndpointUnreachable``, ``HostUnresolved``, ``CertificateRefused`` or
    ``CredentialsWithheld``.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise EndpointUnreachable(f"{url} is not a URL: {error}.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise EndpointUnreachable(f"{url} is not an http or https URL.")
    tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
    port = port or (443 if tls else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Accept": accept}
    request = http_client.Request("GET", path, headers=headers)
    failures: list[str] = []
    for address in _addresses(balancer or host, port):
        if login is not None and not may_travel(
            parts.scheme, address, networks, balancer=bool(balancer)
        ):
            how = "is not AWS's name of the load balancer" if tls else f"{url} has no TLS"
            raise CredentialsWithheld(
                f"{balancer or host} resolves to {address}, which is outside the VPC, and {how}; "
                "the credentials of the Camunda user were not sent."
            )
        try:
            endpoint = http_client.Endpoint(address, port, host, tls)
            answer = (
                http_client.exchange(endpoint, request, timeouts)
                if login is None
                else http_client.authorized(endpoint, request, timeouts, login.authorizations())
            )
        except ssl.SSLCertVerificationError as error:
            raise _refused(error)(
                f"The certificate of {host} ({address}) was refused: {error.verify_message}."
            ) from error
        except (http_client.NothingSent, http_client.NoAnswer) as error:
            failures.append(str(error))
            continue
        return HttpStatus(
            answer.status,
            _document(answer.body),
            answer.content_type,
            answer.certificate_until,
            answer.location,
        )
    raise EndpointUnreachable(f"{url} gave no answer: {'; '.join(failures)}.")


def grpc_answers(
    host: str,
    port: int,
    *,
    tls: bool = False,
    name: str = "",
    ca_file: str | None = None,
    timeouts: http_client.Timeouts = _PROBE_TIMEOUTS,
) -> GrpcAnswer:
    """Return whether a gRPC server is behind a TCP port, in clear or (``tls``) with TLS.

    Sends what opens every HTTP/2 connection and requires the server's SETTINGS in return: a load
    balancer without healthy targets accepts a connection but cannot answer that. No answer: the
    connection was accepted and something else, or nothing, came. The certificate has to be that of
    ``name`` (default: the host). Raises ``EndpointUnreachable`` when no address accepts a
    connection, ``HostUnresolved``, and ``CertificateRefused`` for a certificate of another name or
    of an unknown authority (``ca_file``, default: the system's).
    """
    context = ssl.create_default_context(cafile=ca_file) if tls else None
    if context is not None:
        context.set_alpn_protocols(["h2"])
    failures: list[str] = []
    for address in _addresses(host, port):
        try:
            connection = http_client.connect(
                http_client.Endpoint(address, port, name or host, context), timeouts
            )
        except ssl.SSLCertVerificationError as error:
            raise _refused(error)(
                f"The certificate of {host}:{port} ({address}) was refused for {name or host}: "
                f"{error.verify_message}."
            ) from error
        except http_client.NothingSent as error:
            failures.append(str(error))
            continue
        with connection:
            return GrpcAnswer(
                _exchanges_settings(connection), http_client.certificate_until(connection)
            )
    raise EndpointUnreachable(f"{host}:{port} accepts no connection: {'; '.join(failures)}.")


def _exchanges_settings(connection: socket.socket) -> bool:
    try:
        connection.sendall(_PREFACE + _EMPTY_SETTINGS)
        header = b""
        while len(header) < _FRAME_HEADER.size:
            received = connection.recv(_FRAME_HEADER.size - len(header))
            if not received:
                return False
            header += received
    except OSError:
        return False
    _, _, kind, flags, stream = _FRAME_HEADER.unpack(header)
    return kind == _SETTINGS and not flags & _ACK and stream == 0


def _refused(error: ssl.SSLCertVerificationError) -> type[CertificateRefused]:
    unknown = error.verify_code in _UNKNOWN_AUTHORITY
    return CertificateAuthorityUnknown if unknown else CertificateRefused


def _addresses(host: str, port: int) -> tuple[str, ...]:
    try:
        return http_client.resolve(host, port)
    except http_client.NothingSent as error:
        raise HostUnresolved(f"{error}.") from error


def _document(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
