"""The client of the command line against a real server that misbehaves."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from botocore.credentials import Credentials
from camunda_ecs.api import Api, Lost
from camunda_ecs.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = json.dumps({"clusters": []}).encode()


class Server(ThreadingHTTPServer):
    """Does with each request what is next in ``script``, at the end what is right."""

    daemon_threads = True
    script: list[str]
    seen: list[tuple[str, str, dict[str, str]]]


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers))
        what = self.server.script.pop(0) if self.server.script else "right"
        if what == "hang up":
            self.close_connection = True
            return
        status = int(what) if what.isdigit() else 200
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        body = DOCUMENT
        if what == "302":
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/v1/stolen")
        self.send_header("Content-Length", str(len(body) + (5 if what == "cut short" else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_PUT = do_GET  # noqa: N815 - named as BaseHTTPRequestHandler has it

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


@contextmanager
def serving(*script: str) -> Iterator[tuple[Server, Api, list[float]]]:
    server = Server(("127.0.0.1", 0), Handler)
    server.script, server.seen = list(script), []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    target = Target(
        f"http://127.0.0.1:{server.server_port}/v1",
        "eu-central-1",
        Credentials("AK", "secret", "token"),
        "test",
    )
    slept: list[float] = []
    api = Api(target, lambda _: None, sleep=slept.append, clock=lambda: sum(slept))
    try:
        yield server, api, slept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("fault", ["hang up", "cut short", "502", "503"])
def test_what_was_lost_is_sent_again_signed_anew(fault: str) -> None:
    with serving(fault) as (server, api, slept):
        answer = api.send("PUT", "/clusters/demo/brokers", {"count": 4}, key="k")
        assert (answer.status, answer.document) == (200, {"clusters": []})
        assert slept == [1.0]
        assert [headers["idempotency-key"] for _, _, headers in server.seen] == ["k", "k"]
        for _, _, headers in server.seen:
            assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AK/")
            assert headers["x-amz-security-token"] == "token"


def test_a_redirect_is_not_followed_with_the_session_token() -> None:
    with serving("302") as (server, api, _):
        assert api.get("/clusters").status == 302
        assert [path for _, path, _ in server.seen] == ["/v1/clusters"]


def test_nobody_at_the_address_is_a_lost_request() -> None:
    with serving() as (_, api, _):
        pass
    with pytest.raises(Lost, match="No response from http://127"):
        api.get("/clusters", patience=5)


def test_a_query_is_encoded_and_signed_as_sent() -> None:
    with serving() as (server, api, _):
        api.get("/operations", query={"next": "a+b/c= d", "cluster": None})
        assert server.seen[0][1] == "/v1/operations?next=a%2Bb%2Fc%3D%20d"


def test_no_proxy_is_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving() as (_, api, _):
        assert api.get("/clusters", patience=1).status == 200
