"""The listening ends of load balancers: HTTP for ALB listeners, a relay of bytes for NLB ones."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.proxy import rules

if TYPE_CHECKING:
    from collections.abc import Callable

    Healthy = Callable[[str], list[tuple[str, int]]]

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
_IDLE_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_CHUNK = 65536
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>\r\n"


class HttpListener:
    """An ALB listener: reads its rules at each request, so that a change takes effect at once."""

    def __init__(
        self,
        address: str,
        port: int,
        *,
        public_port: int,
        rules_now: Callable[[], list[rules.Rule]],
        healthy: Healthy,
        stickiness: Callable[[str], int],
    ) -> None:
        """Bind `address:port`; `public_port` is the one the listener has on AWS.

        `healthy` gives a target group's addresses, `stickiness` its cookie's seconds or 0.
        Raises OSError if the port is in use.
        """
        listener = self
        self.public_port = public_port
        self.rules_now, self.healthy, self.stickiness = rules_now, healthy, stickiness

        class Handler(_AlbHandler):
            alb = listener

        self._server = ThreadingHTTPServer((address, port), Handler)
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


class _AlbHandler(BaseHTTPRequestHandler):
    alb: HttpListener
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            self._page(400, "400 Bad Request")
            return
        url = urlsplit(self.path)
        request = rules.Request(self.command, self.headers.get("Host", ""), url.path, url.query)
        try:
            rule = rules.choose(self.alb.rules_now(), request)
        except NotImplementedError as problem:
            self._answer(
                501, [("Content-Type", "text/plain")], f"{problem} has no stand-in".encode()
            )
            return
        action: rules.Rule = rule["Actions"][-1] if rule else {"Type": "none"}
        match action["Type"]:
            case "fixed-response":
                fixed = action.get("FixedResponseConfig") or {}
                self._answer(
                    int(fixed.get("StatusCode", 200)),
                    [("Content-Type", fixed.get("ContentType", "text/plain"))],
                    str(fixed.get("MessageBody", "")).encode(),
                )
            case "redirect":
                config: dict[str, Any] = action["RedirectConfig"]
                target = rules.location(config, request, protocol="http", port=self.alb.public_port)
                status = int(str(config["StatusCode"]).removeprefix("HTTP_"))
                self._answer(status, [("Location", target)], b"")
            case "forward":
                self._forward(action["TargetGroupArn"], body)
            case _:
                self._page(503, "503 Service Temporarily Unavailable")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def _forward(self, group: str, body: bytes) -> None:
        healthy = self.alb.healthy(group)
        if not healthy:
            self._page(503, "503 Service Temporarily Unavailable")
            return
        names = {f"{address}:{port}": (address, port) for address, port in healthy}
        seconds = self.alb.stickiness(group)
        cookies = self.headers.get("Cookie", "") if seconds else ""
        chosen = rules.sticky_target(cookies, group, list(names)) or random.choice(list(names))  # noqa: S311
        connection = http.client.HTTPConnection(*names[chosen], timeout=_CONNECT_SECONDS)
        try:
            connection.connect()
            connection.sock.settimeout(_IDLE_SECONDS)
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self._forwarded_headers(body):
                connection.putheader(name, value)
            connection.endheaders(body or None)
            response = connection.getresponse()
            content = response.read()
        except TimeoutError:
            self._page(504, "504 Gateway Time-out")
            return
        except (OSError, http.client.HTTPException):
            self._page(502, "502 Bad Gateway")
            return
        finally:
            connection.close()
        headers = [
            (name, value)
            for name, value in response.getheaders()
            if name.lower() not in _HOP_BY_HOP | {"content-length"}
        ]
        if seconds:
            headers.append(("Set-Cookie", rules.sticky_cookie(group, chosen, seconds)))
        length = response.headers.get("Content-Length") if self.command == "HEAD" else None
        self._answer(response.status, headers, content, length=length)

    def _forwarded_headers(self, body: bytes) -> list[tuple[str, str]]:
        own = _HOP_BY_HOP | {
            "content-length",
            "expect",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-port",
        }
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in own]
        before = self.headers.get("X-Forwarded-For")
        client = self.client_address[0]
        headers += [
            ("X-Forwarded-For", f"{before}, {client}" if before else client),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Port", str(self.alb.public_port)),
            ("Connection", "close"),
        ]
        if body or self.command in {"POST", "PUT", "PATCH"}:
            headers.append(("Content-Length", str(len(body))))
        return headers

    def _body(self) -> bytes | None:
        """Give the request's body, of either framing; None if it makes no sense."""
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            length = self.headers.get("Content-Length", "0")
            return self.rfile.read(int(length)) if length.isdigit() else None
        parts = []
        while True:
            try:
                size = int(self.rfile.readline().split(b";")[0], 16)
            except ValueError:
                return None
            parts.append(self.rfile.read(size))
            self.rfile.readline()
            if size == 0:
                return b"".join(parts)

    def _page(self, status: int, title: str) -> None:
        self._answer(status, [("Content-Type", "text/html")], _PAGE.format(title).encode())

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        length: str | None = None,
    ) -> None:
        bodiless = status in {204, 304} or status < 200
        self.send_response_only(status)
        self.send_header("Server", "awselb/2.0")
        for name, value in headers:
            if name.lower() != "server":
                self.send_header(name, value)
        if not bodiless:
            self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and not bodiless:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: access logs of the real one are off, too."""


class TcpListener:
    """An NLB listener: relays each connection to a healthy target, or closes it."""

    def __init__(
        self, address: str, port: int, *, targets: Callable[[], list[tuple[str, int]]]
    ) -> None:
        """Bind `address:port`. Raises OSError if it is in use."""
        self._targets = targets
        self._socket = socket.create_server((address, port))
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        # Closing alone does not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client:
            targets = self._targets()
            if not targets:
                return
            try:
                server = socket.create_connection(random.choice(targets), _CONNECT_SECONDS)  # noqa: S311
            except OSError:
                return
            with server:
                server.settimeout(None)
                self._connections |= {client, server}
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()
                self._connections -= {client, server}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy bytes until `source` ends, then close the write side of `sink`."""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
