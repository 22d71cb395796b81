"""Serves the console of ``console/`` on the instance's own address, and forwards its requests.

What CloudFront does on AWS: the files, ``config.json``, and everything below the API's base path,
forwarded with the API's own Host. What only exists here: ``/credentials``, the keys of the local
account, which open nothing elsewhere but let their owner run code as this user (``keys.py``). A
page of any site can make a browser send requests to loopback addresses, and by rebinding its own
name even read the answers; other users of the machine can reach them too. So each request has to
name this address in Host and comes from no other origin, and keys are given only to a page of this
origin in a browser of this user.
https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from lifecycle import __version__
from lifecycle.console.files import TYPES

from local.config import CONSOLE_PORT, REGION, REPOSITORY
from local.processes import connecting_user

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from local.component import Component, Instance
    from local.keys import RootKeys

logger = logging.getLogger(__name__)

FILES: Final = REPOSITORY / "console"
# The page's own policy and, which only a header can, that no page frames it. Trusted Types:
# https://www.w3.org/TR/trusted-types/
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types lit-html"
)
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# The API responds within 29 seconds or not at all.
_SECONDS: Final = 40.0
_MOST_BYTES: Final = 10 * 1024 * 1024
_TARGET: Final = re.compile(r"/[!-~]*")
_LENGTH: Final = re.compile(r"[0-9]{1,8}")
_NOT_FORWARDED: Final = {
    *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
    *("content-length", "cookie", "host", "origin", "expect"),
}
_NOT_RETURNED: Final = {
    *("connection", "keep-alive", "transfer-encoding", "content-length"),
    *("date", "server"),  # of this response
}


@dataclass(frozen=True)
class Reply:
    """A response; ``headers`` as they are sent, without length."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Console:
    """What is served: files by their path, and the API behind ``api()``, None before it exists."""

    origin: str
    api: Callable[[], str | None]
    keys: RootKeys
    folder: Path = FILES

    def refusal(self, headers: Any, path: str) -> str:
        """Return why a request is refused, whatever it is for; empty if it is not."""
        host = self.origin.removeprefix("http://")
        hosts = headers.get_all("Host") or []
        if hosts != [host]:
            return f"Host {', '.join(hosts) or '(none)'} is refused; allowed is {host}."
        origins = [one for one in headers.get_all("Origin") or [] if one != self.origin]
        if origins:
            return f"Origin {', '.join(origins)} is refused; allowed is {self.origin}, or none."
        site = headers.get("Sec-Fetch-Site")
        allowed: tuple[str | None, ...] = ("same-origin",)
        if path != "/credentials":
            # A person may come from another page to this one, but no page may read the API here.
            allowed = ("same-origin", "none", None)
            if path in self.files():
                return ""
        if site not in allowed:
            return f"Sec-Fetch-Site {site or '(none)'} is refused; allowed is same-origin."
        return ""

    def files(self) -> dict[str, Path]:
        """Return the files by the path under which each is served; there are no others."""
        found = {
            f"/{path.relative_to(self.folder).as_posix()}": path
            for path in self.folder.rglob("*")
            if path.is_file() and path.suffix in TYPES
        }
        return {"/": self.folder / "index.html"} | found

    def answer(self, method: str, path: str, *, local_user: bool) -> Reply:
        """Return what this server itself has under a path."""
        if method not in {"GET", "HEAD"}:
            return _text(405, f"{method} {path} is refused; allowed are GET and HEAD.")
        if path == "/credentials":
            if not local_user:
                return _text(403, "Keys are given to processes of the user who started this only.")
            given = {
                "accessKeyId": self.keys.access_key_id,
                "secretAccessKey": self.keys.secret_access_key,
            }
            return _json(given)
        if path == "/config.json":
            return self._configuration()
        file = self.files().get(path)
        if file is None:
            return _text(404, "There is no such file.")
        return Reply(200, [("Content-Type", TYPES[file.suffix])], file.read_bytes())

    def _configuration(self) -> Reply:
        api = self.api()
        if api is None:
            return _text(503, "The API is not deployed yet.")
        url = urlsplit(api)
        return _json(
            {
                "release": __version__,
                "region": REGION,
                "api": {"host": url.netloc, "base": url.path},
                "signIn": {"kind": "local"},
            }
        )

    def is_of_api(self, path: str) -> bool:
        """Whether a path is below the API's base; a path with dot segments never is."""
        api = self.api()
        if api is None or {".", ".."} & set(unquote(path).split("/")):
            return False
        return path.startswith(f"{urlsplit(api).path}/")

    def forward(self, method: str, target: str, headers: Any, body: bytes) -> Reply:
        """Send a request to the API under its own Host and return its response as it is."""
        url = urlsplit(self.api() or "")
        connection = http.client.HTTPConnection(url.netloc, timeout=_SECONDS)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", url.netloc)
            for name, value in headers.items():
                if name.lower() not in _NOT_FORWARDED:
                    connection.putheader(name, value)
            if body or method in {"POST", "PUT", "PATCH"}:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _text(502, f"The API did not respond ({type(error).__name__}).")
        finally:
            connection.close()
        kept = [pair for pair in response.getheaders() if pair[0].lower() not in _NOT_RETURNED]
        return Reply(response.status, kept, content)


def _text(status: int, text: str) -> Reply:
    return Reply(status, [("Content-Type", "text/plain; charset=utf-8")], text.encode())


def _json(content: object) -> Reply:
    return Reply(200, [("Content-Type", "application/json")], json.dumps(content).encode())


class _Handler(BaseHTTPRequestHandler):
    console: Console
    protocol_version = "HTTP/1.1"
    server_version = "console"
    timeout = 60.0

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def _serve(self) -> None:
        body = self._body()
        if isinstance(body, Reply):
            # Where this request ends is not known: nothing behind it is read as another one.
            self.close_connection = True
            self._reply(body)
            return
        path = urlsplit(self.path).path
        if reason := self.console.refusal(self.headers, path):
            self._reply(_text(403, reason))
        elif self.console.is_of_api(path):
            self._reply(self.console.forward(self.command, self.path, self.headers, body))
        else:
            self._reply(self.console.answer(self.command, path, local_user=self._is_local_user()))

    def _body(self) -> bytes | Reply:
        """Read the body, or return why the request is none that can be forwarded as it is.

        A line that is no header ends what Python reads of them (``defects``).
        https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length
        """
        if not _TARGET.fullmatch(self.path):
            return _text(400, "The target is refused; allowed is a path of printable ASCII.")
        if self.headers.defects:
            return _text(400, "A header is refused; allowed are names of printable ASCII.")
        lengths = self.headers.get_all("Content-Length") or ["0"]
        known = len(lengths) == 1 and _LENGTH.fullmatch(lengths[0])
        if not known or int(lengths[0]) > _MOST_BYTES or "Transfer-Encoding" in self.headers:
            named, allowed = ", ".join(lengths), f"one of at most {_MOST_BYTES}"
            return _text(
                411, f"Content-Length {named} is refused, or missing; allowed is {allowed}."
            )
        body = self.rfile.read(int(lengths[0]))
        if len(body) < int(lengths[0]):
            return _text(400, f"The body has {len(body)} bytes; Content-Length is {lengths[0]}.")
        return body

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def _is_local_user(self) -> bool:
        here: tuple[str, int] = self.connection.getsockname()[:2]
        return connecting_user(self.client_address[:2], here) in {os.getuid(), 0}

    def _reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        given = {name.lower() for name, _ in reply.headers}
        fixed = [(name, value) for name, value in _HEADERS.items() if name.lower() not in given]
        if "cache-control" not in given:
            fixed.append(("Cache-Control", "no-store"))
        for name, value in [*reply.headers, *fixed]:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Write nothing: addresses may have ids of operations."""


class ConsoleServer:
    """The component; see ``local.component.Component``."""

    def __init__(
        self, address: str, port: int, api: Callable[[], str | None], keys: RootKeys
    ) -> None:
        """Bind ``address:port``, any free one for 0. Raises OSError if it is in use."""

        class Handler(_Handler):
            pass

        self._server = ThreadingHTTPServer((address, port), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://{address}:{self._server.server_port}"
        Handler.console = Console(self.origin, api, keys)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def component(instance: Instance) -> Component:
    """Give the console of ``instance``."""
    config = instance.config

    def api() -> str | None:
        try:
            found = json.loads(config.endpoints_file.read_text())["api"]
        except (FileNotFoundError, ValueError):
            return None
        return str(found) if found else None

    return ConsoleServer(config.console_address, CONSOLE_PORT, api, config.keys)
