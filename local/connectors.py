"""Stands in for Camunda's connectors, of which no release can be fetched here.

It answers readiness under its context path as the deployed health check asks for it, says on every
other page what it is, and does one thing that the real one does: it is not ready before the
orchestration cluster's REST API answers at the address that its task definition names.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

_PORT = 8080
_ASK_EVERY = 1.0
_PATIENCE = 5.0
# The names of 8.9, 8.8 and of the Spring client before them.
_ADDRESSES = ("CAMUNDA_CLIENT_RESTADDRESS", "CAMUNDA_CLIENT_REST_ADDRESS")
_USERS = ("CAMUNDA_CLIENT_AUTH_USERNAME",)
_PASSWORDS = ("CAMUNDA_CLIENT_AUTH_PASSWORD",)


class Waiting:
    """Whether the orchestration cluster has answered; asked again and again until it has."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.address = _first(environment, _ADDRESSES) or "http://orchestration-cluster-rest:8080"
        user, password = _first(environment, _USERS), _first(environment, _PASSWORDS)
        self._headers = {"Accept": "application/json"}
        if user:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"
        self._names = environment.get("SERVICE_CONNECT_FILE")
        self.problem = "not asked yet"

    @property
    def ready(self) -> bool:
        """Whether it has answered once."""
        return not self.problem

    def until_ready(self) -> None:
        """Ask until the REST API gives its topology."""
        while not self.ready:
            problem = self._ask()
            if problem != self.problem:
                print(f"orchestration cluster at {self.address}: {problem or 'answers'}")
            self.problem = problem
            time.sleep(_ASK_EVERY)

    def _ask(self) -> str:
        url = urlsplit(self.address)
        name, port = url.hostname or "", url.port or 80
        problem = f"{name} does not resolve"
        for address in self._resolve(name):
            connection = http.client.HTTPConnection(address, port, timeout=_PATIENCE)
            try:
                path = f"{url.path.rstrip('/')}/v2/topology"
                connection.request("GET", path, headers=self._headers)
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException) as error:
                problem = f"{address}:{port}: {error}"
            else:
                if status == 200:
                    return ""
                problem = f"{address}:{port} answers {status}"
            finally:
                connection.close()
        return problem

    def _resolve(self, name: str) -> list[str]:
        """Addresses of a Service Connect alias; on Fargate a proxy in the task knows them."""
        if not self._names:
            return [name]
        found: dict[str, list[str]] = json.loads(Path(self._names).read_text())
        return found.get(name, [])


def serve(address: str, port: int, context_path: str, waiting: Waiting) -> ThreadingHTTPServer:
    """Give a server that answers under `context_path`; it is not serving yet."""
    health = f"{context_path}/actuator/health"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == f"{health}/liveness":
                self._answer(200, {"status": "UP"})
            elif path in {health, f"{health}/readiness"}:
                status = "UP" if waiting.ready else "OUT_OF_SERVICE"
                detail = {"camundaClient": {"status": status, "problem": waiting.problem}}
                code = 200 if waiting.ready else 503
                self._answer(code, {"status": status, "components": detail})
            elif path == context_path or path.startswith(f"{context_path}/"):
                text = "A stand-in for Camunda's connectors: it runs none of them."
                self._answer(200, {"standIn": True, "message": text})
            else:
                self._answer(404, {"status": 404, "path": path})

        def _answer(self, code: int, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Health checks every few seconds are not worth a line."""

    return ThreadingHTTPServer((address, port), Handler)


def main(arguments: list[str] | None = None) -> None:
    """Serve on `--address` until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.connectors")
    parser.add_argument("--address", required=True)
    address = parser.parse_args(arguments).address
    environment = dict(os.environ)
    waiting = Waiting(environment)
    context_path = environment.get("SERVER_SERVLET_CONTEXT_PATH", "/connectors").rstrip("/")
    port = int(environment.get("SERVER_PORT", _PORT))
    server = serve(address, port, context_path, waiting)
    # `shutdown` waits for the serving thread, which is the one that a signal interrupts.
    signal.signal(
        signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start()
    )
    threading.Thread(target=waiting.until_ready, daemon=True).start()
    print(f"stand-in for connectors on {address}:{port}{context_path}", flush=True)
    server.serve_forever()


def _first(environment: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)


if __name__ == "__main__":
    main()
