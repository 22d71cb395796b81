"""Stands in for Camunda's connectors, of which no release can be fetched here.

It logs in as configured in its task definition and reads the topology from the orchestration
cluster's REST API every second: readiness, under the context path, follows the last response. It
takes jobs of the REST connector and ends them without making a request, as decided in `decisions`.
Inbound connectors are rejected with 501, and every other page describes the stand-in.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.connectors import decisions
from local.connectors.decisions import JOB_TYPE, SECRET_PREFIX, Answer, NotPerformedError
from local.https import Unreachable, call, direct
from local.names import Names

if TYPE_CHECKING:
    from local.https import Resolve

_PORT = 8080
_ASK_EVERY = 1.0
_PATIENCE = 5.0
# Camunda's client waits longer for jobs (10 s); here SIGTERM waits until nothing can be on its way.
# Otherwise its defaults, and `max-jobs-active` of the bundle.
_POLL_EVERY = 0.1
_POLL_SECONDS = 2.0
_ACTIVATION = {
    "type": JOB_TYPE,
    "worker": "connectors stand-in",
    "timeout": 300_000,
    "maxJobsToActivate": 32,
    "fetchVariable": decisions.INPUTS,
    "requestTimeout": int(_POLL_SECONDS * 1000),
}


class Cluster:
    """The orchestration cluster's REST API, at whichever address answers.

    `names` is the VPC's name resolution, for the issuer of tokens. Raises NotPerformedError if the
    environment needs more than plain HTTP with a password or with such tokens.
    """

    def __init__(self, environment: dict[str, str], names: Path | None = None) -> None:
        self.address = decisions.rest_address(environment)
        self._headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if header := decisions.authorization(environment):
            self._headers["Authorization"] = header
        self._names = environment.get("SERVICE_CONNECT_FILE")
        self._tokens = _tokens(environment, names)
        self.topology = Answer(problem="not called yet")

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        patience: float = _PATIENCE,
        over: threading.Event | None = None,
    ) -> Answer:
        """Call one address after another until one succeeds; stops once it is `over`."""
        url = urlsplit(self.address)
        name, port = url.hostname or "", url.port or 80
        text = None if body is None else json.dumps(body)
        problem = f"{name} does not resolve"
        for address in self._resolve(name):
            connection = http.client.HTTPConnection(address, port, timeout=patience)
            with contextlib.closing(connection):
                try:
                    headers = self._headers | (self._tokens.header() if self._tokens else {})
                    connection.request(method, f"{url.path.rstrip('/')}{path}", text, headers)
                    response = connection.getresponse()
                    content = response.read()
                    if response.status < 300:
                        return Answer(json.loads(content or b"{}"))
                    problem = f"{address}:{port} answers {response.status}"
                    if response.status == 401 and self._tokens:
                        # The next call asks for another one, as the key may have changed.
                        self._tokens.forget()
                except decisions.LoginError as error:
                    return Answer(problem=f"no login: {error}")
                except (OSError, http.client.HTTPException, ValueError) as error:
                    problem = f"{address}:{port}: {error}"
            if over is not None and over.is_set():
                break
        return Answer(problem=problem)

    def _resolve(self, name: str) -> list[str]:
        """Addresses of a Service Connect alias; on Fargate a proxy in the task knows them."""
        if not self._names:
            return [name]
        found: dict[str, list[str]] = json.loads(Path(self._names).read_text())
        return found.get(name, [])

    def watch(self, over: threading.Event) -> None:
        """Keep the newest topology."""
        say = Changes(f"orchestration cluster at {self.address}")
        while not over.is_set():
            self.topology = self.ask("GET", "/v2/topology")
            code, body = decisions.health(self.topology)
            details = body["components"]["zeebeClient"]["details"]
            say("ready" if code == 200 else self.topology.problem or f"not ready: {details}")
            over.wait(_ASK_EVERY)

    def work(self, secrets: frozenset[str], over: threading.Event) -> None:
        """Take jobs and end them, including those in progress when it is over."""
        say = Changes(f"jobs of {JOB_TYPE}")
        while not over.is_set():
            found = self.ask(
                "POST", "/v2/jobs/activation", _ACTIVATION, _POLL_SECONDS + _PATIENCE, over
            )
            say(f"not taken: {found.problem}" if found.problem else "taken")
            for job in found.content.get("jobs", []):
                ended = decisions.outcome(job, secrets)
                sent = self.ask("POST", f"/v2/jobs/{job['jobKey']}/{ended.verb}", ended.body)
                refused = f", not accepted: {sent.problem}" if sent.problem else ""
                print(f"job {job['jobKey']}: {ended}{refused}", flush=True)
            over.wait(_ASK_EVERY if found.problem else _POLL_EVERY)


class Tokens:
    """The client's access token, kept until shortly before it ends."""

    def __init__(self, credentials: decisions.ClientCredentials, resolve: Resolve) -> None:
        self._credentials = credentials
        self._resolve = resolve
        self._kept: decisions.Token | None = None
        # One call at the issuer, whatever the number of threads that need a token.
        self._turn = threading.Lock()

    def header(self) -> dict[str, str]:
        """Give the header with a token that is valid. Raises LoginError."""
        with self._turn:
            if self._kept is None or not self._kept.is_valid(time.time()):
                self._kept = self._fetch()
            return {"Authorization": f"Bearer {self._kept.access}"}

    def forget(self) -> None:
        """Get another token at the next call."""
        with self._turn:
            self._kept = None

    def _fetch(self) -> decisions.Token:
        url, form = self._credentials.token_url, self._credentials.form
        try:
            answer = call("POST", url, resolve=self._resolve, form=form)
        except Unreachable as error:
            raise decisions.LoginError(f"the token endpoint: {error}") from error
        return decisions.token(answer.status, answer.document(), time.time())


def _tokens(environment: dict[str, str], names: Path | None) -> Tokens | None:
    credentials = decisions.client_credentials(environment)
    if credentials is None:
        return None
    known = Names(names) if names else None
    return Tokens(credentials, known.reach if known else direct)


class Changes:
    """Prints a state when it differs from the previous one."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = ""

    def __call__(self, state: str) -> None:
        """Report the current state."""
        if state != self._last:
            print(f"{self._what}: {state}", flush=True)
        self._last = state


def serve(address: str, port: int, context_path: str, cluster: Cluster) -> ThreadingHTTPServer:
    """Give a server that answers under `context_path`; it is not serving yet."""
    health = f"{context_path}/actuator/health"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if not f"{path}/".startswith(f"{context_path}/"):
                self._answer(404, {"status": 404, "path": path})
            elif self.command != "GET" or f"{path}/".startswith(f"{context_path}/inbound/"):
                text = f"The stand-in for connectors does not perform {self.command} {path}"
                self._answer(501, {"status": 501, "path": path, "message": text})
            elif path == f"{health}/liveness":
                self._answer(200, {"status": "UP"})
            elif path in {health, f"{health}/readiness"}:
                self._answer(*decisions.health(cluster.topology))
            else:
                text = f"A stand-in for Camunda's connectors: it takes jobs of {JOB_TYPE}, "
                text += "makes no request, and returns the names of the secrets they refer to."
                self._answer(200, {"standIn": True, "message": text})

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def _answer(self, code: int, content: Any) -> None:
            body = json.dumps(content).encode()
            # What a client sends is not read, so nothing can follow it.
            self.close_connection = self.command != "GET"
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Health checks every few seconds are not worth a line."""

    return ThreadingHTTPServer((address, port), Handler)


def main(arguments: list[str] | None = None) -> None:
    """Serve on `--address` and take jobs until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.connectors")
    parser.add_argument("--address", required=True)
    parser.add_argument("--names", type=Path, help="name resolution of the VPC")
    given = parser.parse_args(arguments)
    address, environment = given.address, dict(os.environ)
    try:
        cluster = Cluster(environment, given.names)
    except NotPerformedError as error:
        sys.exit(f"stand-in for connectors: {error}")
    context_path = environment.get("SERVER_SERVLET_CONTEXT_PATH", "/connectors").rstrip("/")
    port = int(environment.get("SERVER_PORT", _PORT))
    server = serve(address, port, context_path, cluster)
    # Threads inherit the mask: the signal waits for `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.excepthook = _end
    over = threading.Event()
    secrets = frozenset(name for name in environment if name.startswith(SECRET_PREFIX))
    worker = threading.Thread(target=cluster.work, args=(secrets, over))
    for thread in (
        threading.Thread(target=server.serve_forever, daemon=True),
        threading.Thread(target=cluster.watch, args=(over,), daemon=True),
        worker,
    ):
        thread.start()
    print(f"stand-in for connectors on {address}:{port}{context_path}", flush=True)
    signal.sigwait({signal.SIGTERM})
    print("stops: takes no more jobs", flush=True)
    over.set()
    worker.join()
    server.shutdown()


def _end(failed: threading.ExceptHookArgs) -> None:
    """End the process with the thread that failed; otherwise it stays and does nothing."""
    if failed.exc_value is not None:
        traceback.print_exception(failed.exc_value)
    os._exit(1)


if __name__ == "__main__":
    main()
