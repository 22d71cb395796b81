"""What reaches people: mail and a chat, as files in `messages/` of the instance's folder.

The chat is Slack's address with a certificate of the instance's authority, behind a proxy that only
knows that address: a function reaches it with the same verification as on AWS.
"""

from __future__ import annotations

import itertools
import json
import logging
import socket
import ssl
import threading
import urllib.parse
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from local.authority import Authority
from local.names import replace_json

if TYPE_CHECKING:
    from pathlib import Path

    from local.component import Component, Instance

logger = logging.getLogger(__name__)

CHAT_HOST = "hooks.slack.com"
CHAT_URL = f"https://{CHAT_HOST}/services/T00000000/B00000000/local"
_numbers = itertools.count(1)
_BUFFER = 65536


def write(folder: Path, kind: str, text: str) -> None:
    """Write one message into a file of its own; names sort by time."""
    folder.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    partial = folder / f".{kind}-{next(_numbers)}"
    partial.write_text(text)
    partial.rename(folder / f"{at}-{next(_numbers):06}-{kind}.txt")


class Messages:
    """The component; see `local.component.Component`."""

    def __init__(self, instance: Instance) -> None:
        config = instance.config
        self._settings = config.outbound_file
        context = Authority.of(config).server_context([CHAT_HOST])
        self._chat = _server(config.messages, context)
        self._proxy = _Proxy(self._chat.server_address[1])

    def start(self) -> None:
        """Serve, and let functions know the way."""
        for server in (self._chat, self._proxy):
            threading.Thread(target=server.serve_forever, name="messages", daemon=True).start()
        port = self._proxy.server_address[1]
        replace_json(self._settings, {"HTTPS_PROXY": f"http://127.0.0.1:{port}"})

    def stop(self) -> None:
        """Stop serving."""
        self._settings.unlink(missing_ok=True)
        for server in (self._chat, self._proxy):
            server.shutdown()
            server.server_close()


def component(instance: Instance) -> Component:
    """Give the component of `instance`."""
    return Messages(instance)


def _server(folder: Path, context: ssl.SSLContext) -> ThreadingHTTPServer:
    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            known = self.path == urllib.parse.urlsplit(CHAT_URL).path
            text = _slack_text(body)
            # As Slack does: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
            status, answer = (200, b"ok") if known and text else (400, b"invalid_payload")
            if not known:
                status, answer = 404, b"no_service"
            if status == 200:
                write(folder, "chat", text)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Log nothing: the path of a webhook is a secret."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def _slack_text(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("text") or "") if isinstance(found, dict) else ""


class _Proxy(ThreadingHTTPServer):
    """A proxy that connects to the chat, and to nothing else."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connect)
        self.chat_port = port


class _Connect(BaseHTTPRequestHandler):
    def do_CONNECT(self) -> None:
        if self.path != f"{CHAT_HOST}:443":
            self.send_error(403)
            return
        assert isinstance(self.server, _Proxy)  # noqa: S101
        with socket.create_connection(("127.0.0.1", self.server.chat_port), timeout=10) as chat:
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            back = threading.Thread(target=_copy, args=(chat, self.connection), daemon=True)
            back.start()
            _copy(self.connection, chat)
            back.join(10)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(_BUFFER):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
