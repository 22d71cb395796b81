"""API Gateway on a loopback address, in front of the API on the fakes."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lifecycle.api.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.api import ApiWorld

CREDENTIALS: Final = Credentials("AKIDEXAMPLE", "secret", "token")
REGION: Final = "eu-central-1"
STAGE: Final = "/v1"
PROBLEM: Final = "application/problem+json"


@dataclass(frozen=True)
class Request:
    """A request with a right signature; ``path`` behind the stage, with its query."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Upstream:
    """What the gateway got, and what it returns instead of the function's responses."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    instead: dict[tuple[str, str], tuple[int, dict[str, str], Any]] = field(default_factory=dict)
    """By method and path: status, headers, and a document, or None for no response at all.

    As text/plain, a document is what it has as ``text``.
    """

    def problem(self, method: str, path: str, status: int, **document: Any) -> None:
        """Return a problem document instead."""
        told = {"type": "about:blank", "title": "Refused", "status": status, "requestId": "r-9"}
        self.instead[method, path] = (status, {"Content-Type": PROBLEM}, told | document)

    def of(self, method: str) -> list[Request]:
        """Return the requests with a method."""
        return [one for one in self.requests if one.method == method]


class Server(HTTPServer):
    """One thread, as one environment of the function."""

    api: ApiWorld
    upstream: Upstream


class Gateway(BaseHTTPRequestHandler):
    """Checks the signature and finds the route, as API Gateway does, and asks the function."""

    server: Server
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not signed(self.command, self.path, headers, body) or not url.path.startswith(STAGE):
            refusal = {"type": "about:blank", "title": "Forbidden", "status": 403, "requestId": "r"}
            return self.reply(403, {"Content-Type": PROBLEM}, json.dumps(refusal).encode())
        below = url.path.removeprefix(STAGE)
        upstream = self.server.upstream
        upstream.requests.append(
            Request(self.command, self.path.removeprefix(STAGE), headers, body.decode())
        )
        if (self.command, below) in upstream.instead:
            status, named, document = upstream.instead[self.command, below]
            if document is None:
                self.close_connection = True
                return None
            kind, text = "application/json", json.dumps(document)
            if headers.get("accept") == "text/plain":
                kind, text = "text/plain; charset=utf-8", str(document.get("text", ""))
            return self.reply(status, {"Content-Type": kind} | named, text.encode())
        resource, path = found_route(self.command, below)
        query = dict(parse_qsl(url.query))
        answer = self.server.api.ask(
            self.command,
            resource,
            raw_body=body.decode() or None,
            headers=headers,
            query=query or None,
            **path,
        )
        return self.reply(answer.status, answer.headers, answer.text.encode())

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - as BaseHTTPRequestHandler has it

    def reply(self, status: int, headers: Any, body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


def signed(method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether the signature is that of the request with the known secret.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    given = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/(.+), SignedHeaders=(.+), Signature=(\w+)",
        headers.get("authorization", ""),
    )
    if given is None:
        return False
    names = given[2].split(";")
    request = AWSRequest(method, f"http://{headers['host']}{path}", data=body)
    for name in names:
        request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(CREDENTIALS, "execute-api", REGION)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return (
        {"host", "x-amz-date"} <= set(names)
        and given[1] == auth.credential_scope(request)
        and given[3] == auth.signature(text, request)
    )


def found_route(method: str, path: str) -> tuple[str, dict[str, str]]:
    """The route of a request and the variables in its path; a fixed path before one with a name."""
    for route in sorted(ROUTES, key=lambda one: one.resource.count("{")):
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.resource)
        match = re.fullmatch(pattern, path)
        if match and route.method == method:
            return route.resource, {name: unquote(text) for name, text in match.groupdict().items()}
    raise AssertionError(f"no such route: {method} {path}")


@contextmanager
def serving(api: ApiWorld) -> Iterator[Upstream]:
    """Serve the API; ``url`` of what is given is its address with the stage."""
    server = Server(("127.0.0.1", 0), Gateway)
    server.api, server.upstream = api, Upstream(f"http://127.0.0.1:{server.server_port}{STAGE}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.upstream
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
