"""A container's own command for tests: answers on the task's address, badly if told so."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

ADDRESS = os.environ["TASK_ADDRESS"]
START = time.monotonic()
HELD: list[IO[str]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/sick"):
            self.reply(503, {})
        elif self.path == "/actuator/prometheus":
            text = '# TYPE zeebe_health gauge\nzeebe_health{partition="1"} 1.0\n'
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())
        elif self.path.startswith("/empty"):
            self.send_response(204)
            self.end_headers()
        else:
            self.reply(
                200,
                {
                    "address": ADDRESS,
                    "method": self.command,
                    "path": self.path,
                    "body": body.decode(),
                    "headers": {key.lower(): value for key, value in self.headers.items()},
                    "variables": dict(os.environ),
                    # A topology, to whom it is one.
                    "brokers": [{"partitions": [{"health": "healthy"}]}],
                },
            )

    do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815

    def reply(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


def take_node_id() -> None:
    """Hold the lowest node id that is free, as a broker does; wait without a port until one is."""
    while True:
        for number in range(int(os.environ["TAKES_NODE_ID"])):
            lock = (Path(os.environ["NODE_IDS"]) / f"{number}.lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            HELD.append(lock)
            Path("node-id").write_text(str(number))
            return
        time.sleep(0.05)


def main() -> None:
    print("stub says hello", flush=True)  # noqa: T201
    if "TAKES_NODE_ID" in os.environ:
        take_node_id()
    ignore = "IGNORE_SIGTERM" in os.environ
    signal.signal(signal.SIGTERM, signal.SIG_IGN if ignore else lambda *_: sys.exit(0))
    for port in (8080, 9600, 26500):
        server = ThreadingHTTPServer((ADDRESS, port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
