"""Brokers that answer from recordings; see recordings/README.md."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parent / "recordings"


class Replay:
    """A recorded scenario at one address per broker, on the deployed ports."""

    def __init__(self, scenario: str, addresses: list[str], ports: tuple[int, ...]) -> None:
        self._scenes = json.loads((RECORDINGS / f"{scenario}.json").read_text())
        self._scene = "start"
        self._used: dict[int, int] = {}
        self._lock = threading.Lock()
        self._servers = [
            _Server((address, port), self, node)
            for node, address in enumerate(addresses)
            for port in ports
        ]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def answer(self, method: str, path: str, body: bytes, kind: str, node: int) -> tuple[int, Any]:
        """The recorded answer; further answers of a call are given on further requests."""
        with self._lock:
            for call in self._scenes[self._scene]:
                if (
                    (call["method"], call["path"]) == (method, path)
                    and ("body" not in call or call["body"] == _parsed(body))
                    and call.get("kind", kind) == kind
                    and call.get("node", node) == node
                ):
                    turn = self._used.get(id(call), 0)
                    self._used[id(call)] = turn + 1
                    self._scene = call.get("then", self._scene)
                    chosen = call["answers"][min(turn, len(call["answers"]) - 1)]
                    return chosen["status"], chosen["body"]
        return 599, {"message": f"not recorded: {method} {path} {body!r} in {self._scene}"}


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], replay: Replay, node: int) -> None:
        self.replay, self.node = replay, node
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type") or ""
        status, body = self.server.replay.answer(
            self.command, self.path, sent, kind, self.server.node
        )
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode() if isinstance(body, str) else json.dumps(body).encode())

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()
