"""Probes against real sockets: TLS, credentials, and what is gRPC and what is not."""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import os
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lifecycle.adapters.camunda import http_client
from lifecycle.adapters.camunda.endpoints import grpc_answers, http_status
from lifecycle.adapters.camunda.load_balancers import NetworkPaths
from lifecycle.camunda.credentials import Credentials, may_travel
from lifecycle.errors import (
    CertificateAuthorityUnknown,
    CertificateRefused,
    CredentialsWithheld,
    EndpointUnreachable,
    HostUnresolved,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.contract

FAST = http_client.Timeouts(connect=0.5, read=0.5)
SECRET = Credentials("demo", "very-secret")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n" + b'{"brokers":[]}'
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_BLOCK = f"127.{60 + os.getpid() % 80}.254"
_numbers = itertools.count(1)


class Server:
    """A server for any number of connections, each answered with the same bytes."""

    def __init__(
        self, address: str, reply: bytes, tls: ssl.SSLContext | None, port: int = 0
    ) -> None:
        self.address = address
        self._listener = socket.create_server((self.address, port))
        self.port = self._listener.getsockname()[1]
        self.received: list[bytes] = []
        self._reply, self._tls = reply, tls
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            with connection:
                self.received.append(connection.recv(65536))
                connection.sendall(self._reply)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def unused() -> str:
    """A loopback address of its own."""
    return f"{_BLOCK}.{next(_numbers)}"


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def start(
            reply: bytes, tls: ssl.SSLContext | None = None, address: str | None = None
        ) -> Server:
            server = Server(address or unused(), reply, tls)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[str], tuple[ssl.SSLContext, str]]:
    """Make a certificate for an address or a name: the server's context, and what to trust."""

    def make(address: str) -> tuple[ssl.SSLContext, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "probe test")])
        now = datetime.datetime.now(datetime.UTC)
        issued = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(
                x509.SubjectAlternativeName([_name(address)]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        public, private = tmp_path / f"{address}.crt", tmp_path / f"{address}.key"
        public.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(public, private)
        return context, str(public)

    return make


def _name(given: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(given))
    except ValueError:
        return x509.DNSName(given)


def test_http_gives_status_and_document(serve: Callable[..., Server]) -> None:
    server = serve(OK)

    answer = http_status(f"http://{server.address}:{server.port}/v2/topology?a=b", timeouts=FAST)

    assert (answer.status, answer.document) == (200, {"brokers": []})
    assert server.received[0].startswith(b"GET /v2/topology?a=b HTTP/1.1\r\n")
    assert b"Authorization" not in server.received[0]


def test_what_is_not_json_has_no_document(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\nbusy")

    answer = http_status(f"http://{server.address}:{server.port}", timeouts=FAST)

    assert (answer.status, answer.document) == (503, None)


def test_a_trusted_certificate_lets_credentials_travel(
    serve: Callable[..., Server], certificate: Callable[[str], tuple[ssl.SSLContext, str]]
) -> None:
    address = unused()
    context, trusted = certificate(address)
    server = serve(OK, context, address)

    answer = http_status(
        f"https://{server.address}:{server.port}/",
        login=SECRET,
        ca_file=trusted,
        timeouts=FAST,
    )

    assert answer.status == 200
    assert b"Authorization: Basic " in server.received[0]


def test_an_unknown_certificate_gets_nothing(
    serve: Callable[..., Server], certificate: Callable[[str], tuple[ssl.SSLContext, str]]
) -> None:
    address = unused()
    context, _ = certificate(address)
    server = serve(OK, context, address)

    with pytest.raises(CertificateAuthorityUnknown):
        http_status(f"https://{server.address}:{server.port}/", login=SECRET, timeouts=FAST)

    assert server.received == []


def test_a_certificate_of_another_name_gets_nothing(
    serve: Callable[..., Server], certificate: Callable[[str], tuple[ssl.SSLContext, str]]
) -> None:
    context, trusted = certificate("192.0.2.1")
    server = serve(OK, context)

    with pytest.raises(CertificateRefused, match=r"mismatch|not valid for"):
        http_status(
            f"https://{server.address}:{server.port}/",
            login=SECRET,
            ca_file=trusted,
            timeouts=FAST,
        )

    assert server.received == []


def test_credentials_do_not_leave_the_vpc_in_clear() -> None:
    with pytest.raises(CredentialsWithheld) as withheld:
        http_status("http://192.0.2.1/", login=SECRET, networks=("10.0.0.0/16",))

    assert "very-secret" not in str(withheld.value)


@pytest.mark.parametrize(
    ("scheme", "address", "balancer", "allowed"),
    [
        ("https", "192.0.2.1", True, True),
        ("https", "192.0.2.1", False, False),
        ("https", "10.0.7.9", False, True),
        ("http", "10.0.7.9", False, True),
        ("http", "10.0.7.9", True, True),
        ("http", "10.1.0.1", True, False),
        ("http", "192.0.2.1", False, False),
        ("http", "192.0.2.1", True, False),
        ("http", "127.0.0.1", False, True),
        ("http", "fd00::5", False, True),
        ("http", "2001:db8::1", True, False),
    ],
)
def test_where_credentials_may_travel(
    scheme: str, address: str, balancer: bool, allowed: bool
) -> None:
    networks = ("10.0.0.0/16", "fd00::/64")
    assert may_travel(scheme, address, networks, balancer=balancer) is allowed


def test_credentials_do_not_go_to_a_domain_outside_of_the_vpc() -> None:
    with pytest.raises(CredentialsWithheld, match="is not AWS's name of the load balancer"):
        http_status("https://192.0.2.1/", login=SECRET, networks=("10.0.0.0/16",))


def test_a_password_is_in_no_representation() -> None:
    assert "very-secret" not in f"{SECRET!r} {SECRET}"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://name.invalid/", "ftp://127.0.0.1/", "http://[::", "x"]
)
def test_what_cannot_be_reached_is_said_so(url: str) -> None:
    with pytest.raises(EndpointUnreachable):
        http_status(url, timeouts=FAST)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(SETTINGS, True, id="settings"),
        pytest.param(SETTINGS + b"more", True, id="settings and more"),
        pytest.param(OK, False, id="HTTP/1.1"),
        pytest.param(b"", False, id="closed, like a balancer without targets"),
        pytest.param(SETTINGS[:5], False, id="cut off"),
        pytest.param(bytes([0, 0, 0, 4, 1, 0, 0, 0, 0]), False, id="only an acknowledgement"),
        pytest.param(bytes([0, 0, 0, 7, 0, 0, 0, 0, 0]), False, id="GOAWAY"),
    ],
)
def test_grpc_needs_settings(serve: Callable[..., Server], reply: bytes, *, expected: bool) -> None:
    server = serve(reply)

    assert grpc_answers(server.address, server.port, timeouts=FAST).answers is expected
    assert server.received[0].startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


def test_grpc_where_nobody_listens() -> None:
    with pytest.raises(EndpointUnreachable, match="Connection refused"):
        grpc_answers("127.0.0.1", 1, timeouts=FAST)


def test_grpc_over_tls_is_verified(
    serve: Callable[..., Server], certificate: Callable[[str], tuple[ssl.SSLContext, str]]
) -> None:
    address = unused()
    context, ca_file = certificate(address)
    server = serve(SETTINGS, context, address)

    assert grpc_answers(address, server.port, tls=True, ca_file=ca_file, timeouts=FAST).answers
    with pytest.raises(CertificateAuthorityUnknown):
        grpc_answers(address, server.port, tls=True, timeouts=FAST)


DOMAIN = "camunda.example.com"
BALANCER = "web-1.eu-central-1.elb.amazonaws.com"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html;charset=UTF-8\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Addresses by name, as a resolver inside the VPC would give them."""
    known: dict[str, str] = {}
    real = http_client.resolve

    def resolve(host: str, port: int) -> tuple[str, ...]:
        return (known[host],) if host in known else real(host, port)

    monkeypatch.setattr(http_client, "resolve", resolve)
    return known


def test_a_path_is_verified_for_the_name_it_is_asked_by(
    serve: Callable[..., Server],
    certificate: Callable[[str], tuple[ssl.SSLContext, str]],
    resolves: dict[str, str],
) -> None:
    """Behind one address: the domain is verified, the load balancer's own name is refused."""
    context, trusted = certificate(DOMAIN)
    server = serve(OK, context)
    resolves |= dict.fromkeys((DOMAIN, BALANCER), server.address)
    paths = NetworkPaths(trusted)

    seen = paths.http(f"https://{DOMAIN}:{server.port}/v2/topology", login=SECRET)

    assert (seen.ok, seen.host) == (True, DOMAIN)
    assert 3000 < seen.until - time.time() <= 3600
    with pytest.raises(CertificateRefused, match="Hostname mismatch"):
        paths.http(f"https://{BALANCER}:{server.port}/v2/topology", login=SECRET)
    assert len(server.received) == 1


def test_credentials_go_to_the_load_balancer_whatever_owns_the_domain(
    serve: Callable[..., Server],
    certificate: Callable[[str], tuple[ssl.SSLContext, str]],
    resolves: dict[str, str],
) -> None:
    """The domain's record points at a host with a good certificate, which is not the cluster's."""
    context, trusted = certificate(DOMAIN)
    names: list[str] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    ours = serve(OK, context)
    theirs = Server(unused(), OK, context, port=ours.port)
    resolves |= {DOMAIN: theirs.address, BALANCER: ours.address}
    try:
        seen = NetworkPaths(trusted).http(
            f"https://{DOMAIN}:{ours.port}/v2/topology", login=SECRET, balancer=BALANCER
        )
    finally:
        theirs.close()
    assert (seen.ok, seen.host) == (True, DOMAIN)
    assert theirs.received == []
    (request,) = ours.received
    assert b"Authorization: Basic " in request
    assert f"Host: {DOMAIN}:{ours.port}\r\n".encode() in request
    assert names == [DOMAIN]


def test_a_load_balancer_with_a_certificate_of_another_name_gets_nothing(
    serve: Callable[..., Server],
    certificate: Callable[[str], tuple[ssl.SSLContext, str]],
    resolves: dict[str, str],
) -> None:
    context, trusted = certificate("other.example.com")
    server = serve(OK, context)
    resolves[BALANCER] = server.address
    with pytest.raises(CertificateRefused):
        NetworkPaths(trusted).http(
            f"https://{DOMAIN}:{server.port}/v2/topology", login=SECRET, balancer=BALANCER
        )
    assert server.received == []


def test_grpc_is_verified_for_the_domain_at_the_balancers_address(
    serve: Callable[..., Server],
    certificate: Callable[[str], tuple[ssl.SSLContext, str]],
    resolves: dict[str, str],
) -> None:
    context, trusted = certificate(DOMAIN)
    server = serve(SETTINGS, context)
    resolves[BALANCER] = server.address
    paths = NetworkPaths(trusted)

    seen = paths.grpc(BALANCER, server.port, tls=True, name=DOMAIN)

    assert (seen.ok, seen.host) == (True, DOMAIN)
    assert seen.until > time.time()
    for name in ("", "other.example.com"):
        with pytest.raises(CertificateRefused, match="Hostname mismatch"):
            paths.grpc(BALANCER, server.port, tls=True, name=name)
    plain = serve(SETTINGS)
    in_clear = paths.grpc(plain.address, plain.port, tls=False)
    assert (in_clear.host, in_clear.until) == ("", 0)


@pytest.mark.parametrize(
    ("reply", "ok"),
    [
        pytest.param(PAGE, True, id="a page"),
        pytest.param(OK, False, id="no type"),
        pytest.param(PAGE.replace(b"text/html", b"application/json"), False, id="JSON"),
        pytest.param(PAGE.replace(b"200 OK", b"401 No"), False, id="401"),
        pytest.param(PAGE.replace(b"200 OK", b"302 Found"), False, id="a redirect"),
    ],
)
def test_a_page_is_200_and_html(serve: Callable[..., Server], reply: bytes, *, ok: bool) -> None:
    server = serve(reply)

    seen = NetworkPaths().page(f"http://{server.address}:{server.port}/operate/login")

    assert seen.ok is ok
    assert (seen.host, seen.until) == ("", 0)
    assert b"Accept: text/html\r\n" in server.received[0]


def test_a_name_without_a_record_is_an_error_of_its_own() -> None:
    with pytest.raises(HostUnresolved, match=r"^no-such-host\.invalid does not resolve"):
        NetworkPaths().page("https://no-such-host.invalid/operate/login")
