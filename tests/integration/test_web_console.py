"""The local server of the console, over connections."""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local import web_console
from local.keys import RootKeys
from local.processes import connecting_user
from local.web_console import ConsoleServer
from tests.support.api import ApiWorld, living
from tests.support.gateway import Upstream, serving
from tools.api_client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = RootKeys("AKIDEXAMPLE", "secret")
PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    api = ApiWorld()
    living(api)
    with serving(api) as found:
        yield found


@pytest.fixture
def console(upstream: Upstream) -> Iterator[ConsoleServer]:
    server = ConsoleServer("127.0.0.1", 0, lambda: upstream.url, KEYS)
    server.start()
    yield server
    server.stop()


def ask(
    server: ConsoleServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Send a request with exactly these headers, beside Host."""
    connection = http.client.HTTPConnection(server.origin.removeprefix("http://"), timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    response = connection.getresponse()
    told = {name.lower(): value for name, value in response.getheaders()}
    content = response.read()
    connection.close()
    return response.status, told, content


def test_every_response_has_the_policy(console: ConsoleServer) -> None:
    for path in ("/", "/app.js", "/config.json", "/credentials", "/none", "/v1/clusters"):
        _, headers, _ = ask(console, "GET", path)
        assert headers["content-security-policy"] == web_console.POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_keys_are_for_the_page_in_a_browser_of_this_user(
    console: ConsoleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(console, "GET", "/credentials")[0] == 403
    assert ask(console, "GET", "/credentials", Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(console, "GET", "/credentials", Sec_Fetch_Site="same-origin", Host="evil")[0] == 403
    status, _, body = ask(console, "GET", "/credentials", Sec_Fetch_Site="same-origin")
    assert (status, json.loads(body)["accessKeyId"]) == (200, "AKIDEXAMPLE")
    for other in (None, 54321):
        monkeypatch.setattr(web_console, "connecting_user", lambda *_, user=other: user)
        status, _, body = ask(console, "GET", "/credentials", Sec_Fetch_Site="same-origin")
        assert status == 403
        assert b"AKIDEXAMPLE" not in body


def test_the_user_of_a_connection_is_read_from_the_kernel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = listener.getsockname()
        with socket.create_connection(here) as client:
            assert connecting_user(client.getsockname(), here) == os.getuid()
            assert connecting_user(("127.0.0.1", 1), here) is None


def test_a_signed_request_passes_and_its_response_comes_back_whole(
    console: ConsoleServer, upstream: Upstream
) -> None:
    def send(method: str, path: str, body: Any, **headers: str) -> tuple[int, dict[str, str], Any]:
        """As a page does: signed for the API's own address, sent to this one."""
        text = json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest(method, f"{upstream.url}{path}", data=text, headers=named)
        SigV4Auth(Credentials("AKIDEXAMPLE", "secret"), "execute-api", "eu-central-1").add_auth(
            request
        )
        given = {name.replace("-", "_"): value for name, value in request.headers.items()}
        status, told, content = ask(
            console, method, f"/v1{path}", text, **given, Origin=console.origin, **PAGE
        )
        return status, told, json.loads(content)

    status, headers, document = send(
        "PUT",
        "/clusters/demo/brokers",
        {"count": 4},
        Idempotency_Key="four",
        Content_Type="application/json",
    )
    assert (status, document["operationId"]) == (202, "demo.scale.four")
    assert headers["location"] == "/v1/operations/demo.scale.four"
    assert int(headers["retry-after"]) > 0
    sent = upstream.requests[-1]
    assert sent.headers["idempotency-key"] == "four"
    assert sent.headers["host"] == upstream.url.removeprefix("http://").partition("/")[0]
    assert "origin" not in sent.headers
    # The signature is for the API's Host: what comes with another one is refused by the API.
    direct = Client(f"{console.origin}/v1", "eu-central-1", Credentials("AKIDEXAMPLE", "secret"))
    assert direct.ask("GET", "/clusters").status == 403


def test_without_an_api_behind_it_a_request_ends_with_502(console: ConsoleServer) -> None:
    server = ConsoleServer("127.0.0.1", 0, lambda: "http://127.0.0.1:9/v1", KEYS)
    server.start()
    try:
        status, _, body = ask(server, "GET", "/v1/clusters")
        assert (status, body) == (502, b"The API did not respond (ConnectionRefusedError).")
    finally:
        server.stop()


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/%2e%2e/pyproject.toml", "//etc/passwd"])
def test_no_other_file_is_served(console: ConsoleServer, path: str) -> None:
    assert ask(console, "GET", path)[0] == 404


def test_a_body_without_length_is_refused(console: ConsoleServer) -> None:
    status, _, _ = ask(console, "PUT", "/v1/clusters/demo", Transfer_Encoding="chunked")
    assert status == 411


def raw(server: ConsoleServer, request: bytes) -> bytes:
    """Send bytes that no client would, and read until the server closes."""
    host, port = server.origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        named = request.replace(b"HOST", f"{host}:{port}".encode())
        connection.sendall(named)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        while part := connection.recv(65536):
            found += part
    return found


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (b"Content-Length: \xb2\r\n\r\n", 411),
        (b"Content-Length: +1\r\n\r\nx", 411),
        (b"Content-Length: 1\r\nContent-Length: 30\r\n\r\nx", 411),
        (b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 411),
        (b"Content-Length: 10485761\r\n\r\n", 411),
        (b"Content-Length: 30\r\n\r\nx", 400),
        (b"Na me: x\r\n\r\n", 400),
        (b"N\xfcme: x\r\n\r\n", 400),
    ],
)
def test_a_request_that_is_none_is_refused_and_not_forwarded(
    console: ConsoleServer, upstream: Upstream, given: bytes, status: int
) -> None:
    start = b"PUT /v1/clusters/demo/brokers HTTP/1.1\r\nHost: HOST\r\n"
    answer = raw(console, start + given)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    # What is behind it is not read as another request.
    assert answer.count(b"HTTP/1.1 ") == 1
    assert upstream.requests == []


@pytest.mark.parametrize("target", [b"/v1/\xc3\xbc", b"/v1/\x01", b"http://HOST/v1/clusters"])
def test_a_target_that_cannot_be_forwarded_is_refused(
    console: ConsoleServer, upstream: Upstream, target: bytes
) -> None:
    answer = raw(console, b"GET " + target + b" HTTP/1.1\r\nHost: HOST\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]
    assert upstream.requests == []
