"""The listening ends of load balancers: HTTP for ALB listeners, a relay of bytes for NLB ones."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import random
import socket
import ssl
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.proxy import rules

if TYPE_CHECKING:
    from collections.abc import Callable

    Healthy = Callable[[str], list[tuple[str, int]]]
    Secure = Callable[[], ssl.SSLContext]
    """TLS context for the next connection: the listener's certificate may change."""

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
_IDLE_SECONDS = 60.0
# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html
NLB_IDLE_SECONDS = 350.0
_HANDSHAKE_SECONDS = 10.0
_PAUSE_SECONDS = 0.05
_HANDSHAKE_RECORD = b"\x16"
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
        secure: Secure | None = None,
        actual_port: Callable[[int], int] = lambda port: port,
    ) -> None:
        """Bind `address:port`; `public_port` is the one the listener has on AWS.

        `healthy` gives a target group's addresses, `stickiness` its cookie's seconds or 0. With
        `secure`, the listener is HTTPS. `actual_port` gives the port on this machine of another
        listener of the load balancer. Raises OSError if the port is in use.
        """
        listener = self
        self.port, self.public_port = port, public_port
        self.secure, self.actual_port = secure, actual_port
        self.rules_now, self.healthy, self.stickiness = rules_now, healthy, stickiness

        class Handler(_AlbHandler):
            alb = listener

        self._server = _Server((address, port), Handler)
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


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log faults of the listener, and no failed handshake or lost connection of a client."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _AlbHandler(BaseHTTPRequestHandler):
    """HTTP/1.1 only: on AWS, HTTP/2 as well, which Chromium and some clients then choose."""

    alb: HttpListener
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def setup(self) -> None:
        self._in_clear = False
        if self.alb.secure:
            self.request.settimeout(_HANDSHAKE_SECONDS)
            if self.request.recv(1, socket.MSG_PEEK) == _HANDSHAKE_RECORD:
                self.request = self.alb.secure().wrap_socket(self.request, server_side=True)
            else:
                self._in_clear = True
        super().setup()

    def finish(self) -> None:
        super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            # The end of the data, and not of the network, is what clients of TLS wait for.
            with contextlib.suppress(OSError):
                self.request.settimeout(0.5)
                self.request.unwrap()
            self.request.close()

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            self._page(400, "400 Bad Request")
            return
        if self._in_clear:
            self.close_connection = True
            self._page(400, "400 The plain HTTP request was sent to HTTPS port")
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
                port = self._visible_port()
                if port != self.alb.public_port:
                    config = rules.reachable(config, self.alb.actual_port)
                target = rules.location(
                    config,
                    request,
                    protocol="https" if self.alb.secure else "http",
                    port=port,
                )
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

    def _visible_port(self) -> int:
        return rules.visible_port(self.headers.get("Host", ""), self.alb.port, self.alb.public_port)

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
            ("X-Forwarded-Proto", "https" if self.alb.secure else "http"),
            ("X-Forwarded-Port", str(self._visible_port())),
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
    """An NLB listener: relays each connection to a healthy target, or closes it.

    With TLS it is the end of the client's; the target gets plain bytes. Without traffic for the
    idle timeout both ends are reset; on AWS, the next packet is answered by the reset.
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        targets: Callable[[], list[tuple[str, int]]],
        secure: Secure | None = None,
        idle_seconds: float = NLB_IDLE_SECONDS,
    ) -> None:
        """Bind `address:port`; with `secure`, the listener is TLS. Raises OSError if in use."""
        self._targets, self._secure, self._idle = targets, secure, idle_seconds
        self._socket = socket.create_server((address, port))
        self._socket.setblocking(False)
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        # Leaving the runner cancels what is open.
        with self._socket, asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        accepting = asyncio.create_task(self._accept())
        await self._stopping.wait()
        accepting.cancel()

    async def _accept(self) -> None:
        connections: set[asyncio.Task[None]] = set()
        while True:
            try:
                client, _ = await self._loop.sock_accept(self._socket)
            except OSError:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            one = asyncio.create_task(self._connection(client))
            connections.add(one)
            one.add_done_callback(connections.discard)

    async def _connection(self, client: socket.socket) -> None:
        """Serve one connection; what fails about it ends it."""
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            try:
                context = self._secure() if self._secure else None
            except BaseException:
                client.close()
                raise
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol,
                client,
                ssl=context,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if context else None,
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
            try:
                await self._relay(reader, writer)
            except asyncio.CancelledError:
                transport.abort()
                raise
            finally:
                writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets = self._targets()
        if not targets:
            return
        async with asyncio.timeout(_CONNECT_SECONDS):
            target_reader, target_writer = await asyncio.open_connection(
                *random.choice(targets)  # noqa: S311
            )
        flow = _Flow(self._loop.time)
        try:
            relaying = asyncio.gather(
                flow.pump(reader, target_writer), flow.pump(target_reader, writer)
            )
            while not relaying.done():
                left = flow.last + self._idle - self._loop.time()
                if left <= 0:
                    relaying.cancel()
                    _reset(writer, target_writer)
                    return
                await asyncio.wait([relaying], timeout=left)
            await relaying
        finally:
            target_writer.close()


class _Flow:
    """The two directions of one connection."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.last = now()
        """When data passed last."""

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Copy bytes until `source` ends, then close the write side of `sink`."""
        while data := await source.read(_CHUNK):
            self.last = self._now()
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
        else:
            # TLS has no half-closed connections: asyncio ends it after what was written.
            sink.close()


def _reset(*writers: asyncio.StreamWriter) -> None:
    """Close with RST: https://man7.org/linux/man-pages/man7/socket.7.html (SO_LINGER)."""
    for writer in writers:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
