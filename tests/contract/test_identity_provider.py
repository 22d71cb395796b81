"""Identity providers over real TLS: documents, keys, tokens, and where a secret is sent."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from lifecycle.adapters.camunda import http_client
from lifecycle.adapters.camunda.load_balancers import NetworkPaths
from lifecycle.adapters.identity.provider import ClientTokens, HttpIdentityProvider
from lifecycle.camunda.identity import Client, discovery_url
from lifecycle.camunda.paths import SignIn
from lifecycle.errors import IdentityProviderUnreachable, SecretRefused, TokenRefused

from local.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.contract

NAME = "login.example.test"
CLIENT_SECRET = "s3cret: +/%&ä"
FAST = http_client.Timeouts(connect=0.5, read=0.5)


class Idp(ThreadingHTTPServer):
    """A server whose answers are set by path: status, headers, body."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.received: list[tuple[str, str, dict[str, str], str]] = []

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.server_address[1]}"

    def says(self, path: str, document: Any, status: int = 200, **headers: str) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers[path] = status, headers, body

    def handle_error(self, *_: Any) -> None:
        """A client that refuses the certificate is no error of the test."""


class _Handler(BaseHTTPRequestHandler):
    server: Idp

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((self.command, self.path, headers, body))
        nothing: tuple[int, dict[str, str], bytes] = (404, {}, b"")
        status, more, content = self.server.answers.get(self.path.partition("?")[0], nothing)
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **more}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer  # noqa: N815 - as BaseHTTPRequestHandler has it

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def signer() -> Authority:
    return Authority()


@pytest.fixture
def root(signer: Authority, tmp_path: Path) -> str:
    """The file of what to trust."""
    file = tmp_path / "root.pem"
    file.write_bytes(signer.pem)
    return str(file)


@pytest.fixture
def idp(signer: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Idp]:
    known = socket.getaddrinfo

    def resolve(host: str, *given: Any, **named: Any) -> Any:
        return known("127.0.0.1" if host == NAME else host, *given, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    server = Idp(signer.server_context([NAME]))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class Secrets:
    """A secret that may be sent to one URL, and how often it was read."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.read = 0

    def secret(self, secret_arn: str, cluster: str, token_url: str) -> str:
        assert (secret_arn, cluster) == ("arn:health", "demo")
        if token_url != self.url:
            raise SecretRefused("another URL.")
        self.read += 1
        return CLIENT_SECRET


class Time:
    now = 1_000_000.0


@pytest.fixture
def provider(root: str) -> HttpIdentityProvider:
    return HttpIdentityProvider(timeouts=FAST, ca_file=root)


def client(idp: Idp, **more: str) -> Client:
    return Client(f"{idp.url}/token", "health client", "arn:health", "demo", **more)


def tokens(idp: Idp, provider: HttpIdentityProvider) -> tuple[ClientTokens, Secrets]:
    secrets = Secrets(f"{idp.url}/token")
    return ClientTokens(provider, secrets, now=lambda: Time.now), secrets


def test_a_document_and_its_keys_are_read(idp: Idp, provider: HttpIdentityProvider) -> None:
    issuer = f"{idp.url}/realms/main"
    document = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/auth",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/keys",
        "grant_types_supported": ["client_credentials", 7],
    }
    idp.says("/realms/main/.well-known/openid-configuration", document)
    keys = [
        {"kty": "RSA", "use": "sig", "alg": "PS256"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "RSA", "use": "enc"},
    ]
    idp.says("/realms/main/keys", {"keys": keys})
    found = provider.discovery(issuer)
    assert (found.issuer, found.jwks_uri) == (issuer, f"{issuer}/keys")
    assert found.grant_types == ("client_credentials",)
    assert found.end_session_endpoint == ""
    known = provider.keys(found.jwks_uri)
    assert (known.count, known.algorithms) == (2, frozenset({"PS256", "ES256"}))


def test_documents_are_kept_for_a_while_and_failures_are_not(idp: Idp, root: str) -> None:
    kept = HttpIdentityProvider(timeouts=FAST, ca_file=root, keep=600, now=lambda: Time.now)
    Time.now = 1_000_000.0
    with pytest.raises(IdentityProviderUnreachable, match="404"):
        kept.discovery(idp.url)
    idp.says("/.well-known/openid-configuration", {"issuer": idp.url})
    assert kept.discovery(idp.url).issuer == idp.url
    idp.says("/.well-known/openid-configuration", {"issuer": "another"})
    Time.now += 599
    assert kept.discovery(idp.url).issuer == idp.url
    Time.now += 1
    assert kept.discovery(idp.url).issuer == "another"


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b"[]"), (200, b"{}"), (302, b""), (500, b"{}"), (200, b"[" * 99999)],
)
def test_what_is_no_document_is_named(
    idp: Idp, provider: HttpIdentityProvider, status: int, body: bytes
) -> None:
    idp.says("/.well-known/openid-configuration", body, status, Location=f"{idp.url}/else")
    with pytest.raises(IdentityProviderUnreachable, match=NAME):
        provider.discovery(idp.url)
    assert [path for _, path, _, _ in idp.received] == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    "url",
    [
        *("http://login.example.test", "https://", "https://u@x", "https://x:y", ""),
        *(
            "https://login.example.test:{port}/ä",
            "https://login.example.test:{port}/a b",
            "https://a\0b/",
        ),
    ],
)
def test_only_https_is_requested(idp: Idp, provider: HttpIdentityProvider, url: str) -> None:
    """Its own document names the URL of a provider's keys."""
    url = url.format(port=idp.server_address[1])
    with pytest.raises(IdentityProviderUnreachable, match=r"https URL|not a URL"):
        provider.keys(url)
    assert idp.received == []


def test_a_certificate_of_an_unknown_authority_gets_no_secret(
    idp: Idp,
) -> None:
    kept, _ = tokens(idp, HttpIdentityProvider(timeouts=FAST))
    with pytest.raises(IdentityProviderUnreachable, match="certificate of login"):
        kept.token(client(idp))
    assert idp.received == []


def test_a_token_is_requested_as_the_standard_has_it_and_kept(
    idp: Idp, provider: HttpIdentityProvider
) -> None:
    Time.now = 1_000_000.0
    idp.says("/token", {"access_token": "a.b.c", "token_type": "Bearer", "expires_in": 300})
    kept, secrets = tokens(idp, provider)
    one = client(idp, scope="api/.default", audience="camunda")
    token = kept.token(one)
    assert token.authorizations() == ("Bearer a.b.c",)
    assert "a.b.c" not in repr(token)
    ((method, path, headers, body),) = idp.received
    assert (method, path) == ("POST", "/token")
    pair = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()
    assert pair == "health%20client:s3cret%3A%20%2B%2F%25%26%C3%A4"
    assert parse_qs(body) == {
        "grant_type": ["client_credentials"],
        "scope": ["api/.default"],
        "audience": ["camunda"],
    }
    assert CLIENT_SECRET not in body
    Time.now += 239
    assert kept.token(one) == token
    assert (len(idp.received), secrets.read) == (1, 1)
    Time.now += 1
    kept.token(one)
    assert (len(idp.received), secrets.read) == (2, 2)


def test_a_rejected_token_is_replaced_unless_it_is_young(
    idp: Idp, provider: HttpIdentityProvider
) -> None:
    """A cluster that rejects every token must not cost one for each request."""
    Time.now = 1_000_000.0
    idp.says("/token", {"access_token": "a.b.c", "token_type": "bearer", "expires_in": 3600})
    kept, _ = tokens(idp, provider)
    one = client(idp)
    kept.token(one)
    Time.now += 299
    assert not kept.forget(one)
    Time.now += 1
    assert kept.forget(one)
    assert not kept.forget(one)
    kept.token(one)
    assert len(idp.received) == 2


def test_the_secret_is_sent_to_no_other_url(idp: Idp, provider: HttpIdentityProvider) -> None:
    idp.says("/other", {"access_token": "a.b.c", "token_type": "Bearer"})
    kept, secrets = tokens(idp, provider)
    with pytest.raises(SecretRefused):
        kept.token(Client(f"{idp.url}/other", "health", "arn:health", "demo"))
    assert (idp.received, secrets.read) == ([], 0)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_takes_the_secret_nowhere(
    idp: Idp, provider: HttpIdentityProvider, status: int
) -> None:
    idp.says("/token", {}, status, Location=f"{idp.url}/thief")
    kept, _ = tokens(idp, provider)
    with pytest.raises(IdentityProviderUnreachable, match="redirects are not followed"):
        kept.token(client(idp))
    assert [path for _, path, _, _ in idp.received] == ["/token"]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_names_the_error_and_nothing_secret(
    idp: Idp, provider: HttpIdentityProvider, status: int
) -> None:
    document = {
        "error": "invalid_client",
        "error_description": f"Wrong secret {CLIENT_SECRET} of the client",
    }
    idp.says("/token", document, status)
    kept, _ = tokens(idp, provider)
    with pytest.raises(TokenRefused, match=f"HTTP {status}: invalid_client") as refused:
        kept.token(client(idp))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"access_token": "", "token_type": "Bearer"},
        {"access_token": "a b", "token_type": "Bearer"},
        {"access_token": "a\r\nX: y", "token_type": "Bearer"},
        {"access_token": "a", "token_type": "mac"},
        {"access_token": 7, "token_type": "Bearer"},
    ],
)
def test_what_is_no_token_is_an_error(
    idp: Idp, provider: HttpIdentityProvider, document: Any
) -> None:
    idp.says("/token", document)
    kept, _ = tokens(idp, provider)
    with pytest.raises(IdentityProviderUnreachable):
        kept.token(client(idp))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_in_trouble_is_not_a_refusal(
    idp: Idp, provider: HttpIdentityProvider, status: int
) -> None:
    idp.says("/token", {"error": "temporarily_unavailable"}, status)
    kept, _ = tokens(idp, provider)
    with pytest.raises(IdentityProviderUnreachable, match=str(status)):
        kept.token(client(idp))


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3540),
        (100, 50),
        ("300", 240),
        (None, 15),
        (0, 0),
        (-9, 0),
        (10**400, 43200),
        ("nan", 15),
    ],
)
def test_a_token_is_renewed_before_it_expires(
    idp: Idp, provider: HttpIdentityProvider, expires_in: object, seconds: int
) -> None:
    idp.says("/token", {"access_token": "a", "token_type": "Bearer", "expires_in": expires_in})
    assert provider.issue(client(idp), "x").keep == seconds


def test_where_a_document_is() -> None:
    for issuer in ("https://x/realms/y", "https://x/realms/y/"):
        assert discovery_url(issuer) == "https://x/realms/y/.well-known/openid-configuration"


# --- where a login leads -------------------------------------------------------------------------

WANTED = SignIn(
    "https://idp.example.com/auth", "camunda", "https://login.example.test/sso-callback"
)
RIGHT = (
    "https://idp.example.com/auth?response_type=code&client_id=camunda&state=x&"
    "redirect_uri=https%3A%2F%2Flogin.example.test%2Fsso-callback"
)


def test_a_browser_is_followed_to_the_provider(idp: Idp, root: str) -> None:
    idp.says("/operate", b"", 302, Location="/oauth2/authorization/oidc")
    idp.says("/oauth2/authorization/oidc", b"", 302, Location=RIGHT)
    seen = NetworkPaths(root).sign_in(f"{idp.url}/operate", WANTED)
    assert seen.ok, seen.seen
    assert (seen.host, seen.until > 0) == (NAME, True)
    assert "state" not in seen.seen
    assert [path for _, path, _, _ in idp.received] == ["/operate", "/oauth2/authorization/oidc"]


@pytest.mark.parametrize(
    ("location", "why"),
    [
        (RIGHT.replace("idp.", "thief."), "does not lead to https://idp.example.com/auth"),
        (RIGHT.replace("https://idp", "http://idp"), "does not lead to"),
        (RIGHT.replace("=camunda", "=other"), "its client_id is other, expected is camunda"),
        (RIGHT.replace("%2F%2Flogin", "%2F%2Fother"), "its redirect_uri is https://other"),
        (RIGHT + "&client_id=other", "its client_id is camunda, other"),
    ],
)
def test_a_login_that_leads_elsewhere_is_named(
    idp: Idp, root: str, location: str, why: str
) -> None:
    idp.says("/operate", b"", 302, Location=location)
    seen = NetworkPaths(root).sign_in(f"{idp.url}/operate", WANTED)
    assert not seen.ok
    assert why in seen.seen


def test_a_page_or_a_circle_is_no_login(idp: Idp, root: str) -> None:
    paths = NetworkPaths(root)
    idp.says("/operate", b"<html>", 200, **{"Content-Type": "text/html"})
    assert "answers 200 with text/html" in paths.sign_in(f"{idp.url}/operate", WANTED).seen
    idp.says("/operate", b"", 302, Location="/operate")
    circle = paths.sign_in(f"{idp.url}/operate", WANTED)
    assert not circle.ok
    assert "redirects more than 3 times" in circle.seen
