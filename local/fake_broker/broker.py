"""One fake broker: its life, and the three ports it answers on."""

from __future__ import annotations

import base64
import json
import re
import signal
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lifecycle.adapters.management_simulation import (
    BadRequest,
    Dialect,
    Json,
    Refusal,
    SimulatedCluster,
)

from local.fake_broker.state import SharedCluster

MANAGEMENT_PORT = 9600
REST_PORT = 8080
GRPC_PORT = 26500
_BEAT_SECONDS = 0.2
_USER = re.compile(r"CAMUNDA_SECURITY_INITIALIZATION_USERS_(\d+)_USERNAME")
# RFC 9113: a client opens with 24 bytes and a SETTINGS frame; a server answers with its own.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS_ACK = bytes([0, 0, 0, 4, 1, 0, 0, 0, 0])


class LeaseLost(Exception):
    """The broker was removed from the cluster; from 8.9 on it cannot renew its node id."""


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    address: str
    node_id: int
    cluster_size: int
    partitions: int
    replication_factor: int
    state_dir: Path
    start_seconds: float = 1.0
    step_seconds: float = 0.3
    failure_seconds: float = 3.0
    dialect: Dialect = "8.9"


@dataclass(frozen=True)
class Reply:
    """Status and body; text is sent as it is, anything else as JSON, `None` not at all."""

    status: int
    body: object = None


class Broker:
    """A fake broker; `environment` holds the users of its REST API, as with Camunda."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self.settings = settings
        self.users = _users(environment)
        self.started = time.time()
        self._stop = threading.Event()
        self._shared = SharedCluster(
            settings.state_dir,
            lambda: SimulatedCluster(
                cluster_size=settings.cluster_size,
                partitions=settings.partitions,
                replication_factor=settings.replication_factor,
                dialect=settings.dialect,
                start_seconds=settings.start_seconds,
                step_seconds=settings.step_seconds,
                failure_seconds=settings.failure_seconds,
            ),
        )

    def run(self) -> int:
        """Take part in the cluster until SIGTERM. Raises `LeaseLost` when removed (8.9)."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        name = f"broker {self.settings.node_id}"
        print(f"{name}: FAKE, dialect {self.settings.dialect}, {self.settings.address}", flush=True)
        while not self._beat():
            # As with a real broker: until it may take part, it has no port at all.
            if self._stop.wait(_BEAT_SECONDS):
                return 0
        servers = self._servers()
        print(f"{name}: listening", flush=True)
        try:
            ready = False
            while not self._stop.wait(_BEAT_SECONDS):
                if not self._beat():
                    raise LeaseLost("its node id is no longer part of the cluster")
                if not ready and self.perform(lambda cluster, _: self._ready(cluster)):
                    ready = True
                    print(f"{name}: ready", flush=True)
        finally:
            for server in servers:
                server.shutdown()
                server.server_close()
            with self._shared.open() as cluster:
                cluster.leave(self.settings.node_id)
        print(f"{name}: stopped", flush=True)
        return 0

    def perform[T](self, action: Callable[[SimulatedCluster, float], T]) -> T:
        """Do something with the cluster as it is at this moment."""
        with self._shared.open() as cluster:
            now = time.time()
            cluster.advance(now)
            return action(cluster, now)

    def manage(self, method: str, target: str, content_type: str, body: bytes) -> Reply:
        """Answer a request to the management port."""
        url = urlsplit(target)
        path = url.path.rstrip("/")
        if path.startswith("/actuator/cluster"):
            query = {key: values[-1] for key, values in parse_qs(url.query).items()}
            return self._cluster(method, path, query, content_type, body)
        if path.startswith("/actuator/health") and method == "GET":
            return self._health(path.removeprefix("/actuator/health").strip("/"))
        if path == "/actuator/partitions" and method == "GET":
            node = self.settings.node_id
            return Reply(200, self.perform(lambda cluster, _: cluster.partition_states(node)))
        backups = path == "/actuator/backupRuntime/state" and self.settings.dialect != "8.6"
        if backups and method == "GET":
            return Reply(200, self.perform(lambda cluster, now: cluster.backup_states(now)))
        exporting = {"/actuator/exporting/pause": "PAUSED", "/actuator/exporting/resume": None}
        if path in exporting and method == "POST":
            soft = exporting[path] and parse_qs(url.query).get("soft") == ["true"]
            phase = "SOFT_PAUSED" if soft else exporting[path] or "EXPORTING"
            self.perform(lambda cluster, _: setattr(cluster, "exporting", phase))
            # Always 200: how it went is in the body.
            return Reply(200, {"status": 204})
        return _spring(404, path)

    def rest(self, method: str, target: str, authorization: str) -> Reply:
        """Answer a request to the REST port."""
        path = urlsplit(target).path
        if path == "/v2/status" and method == "GET" and self.settings.dialect != "8.6":
            led = self.perform(
                lambda cluster, _: any(
                    cluster.leader(partition + 1) is not None
                    for partition in range(cluster.partitions)
                )
            )
            return Reply(204 if led else 503)
        if path != "/v2/topology" or method != "GET":
            return _spring(404, path)
        if not self._authorized(authorization):
            return Reply(401, {"type": "about:blank", "title": "Unauthorized", "status": 401})
        return Reply(200, self.perform(lambda cluster, _: cluster.topology()))

    def _beat(self) -> bool:
        with self._shared.open() as cluster:
            settings, now = self.settings, time.time()
            takes_part = cluster.beat(settings.node_id, settings.address, self.started, now)
            cluster.advance(now)
            return takes_part

    def _servers(self) -> list[socketserver.BaseServer]:
        address = self.settings.address
        servers: list[socketserver.BaseServer] = [
            _HttpServer((address, MANAGEMENT_PORT), _ManagementHandler, self),
            _HttpServer((address, REST_PORT), _RestHandler, self),
            _TcpServer((address, GRPC_PORT), _GrpcHandler),
        ]
        for server in servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return servers

    def _cluster(
        self, method: str, path: str, query: Mapping[str, str], content_type: str, body: bytes
    ) -> Reply:
        sub = path.removeprefix("/actuator/cluster").strip("/").split("/")
        flags = {key: query.get(key, "false") for key in ("dryRun", "force")}
        if any(value not in ("true", "false") for value in flags.values()):
            return _spring(400, path)
        dry_run, force = (flags[key] == "true" for key in ("dryRun", "force"))
        match method, sub:
            case "GET", [""]:
                return self._coordinated(lambda cluster, _: Reply(200, cluster.configuration()))
            case "PATCH", [""]:
                if content_type.partition(";")[0].strip() != "application/json":
                    return _spring(415, path)
                return self._patch(path, body, dry_run=dry_run, force=force)
            case "DELETE", ["changes", change]:
                return self._cancel(change, dry_run=dry_run)
            case "POST", ["partitions"]:
                return Reply(501, "Scaling partitions is not supported")
            case "POST" | "DELETE" | "PATCH", ["brokers" | "routing-state" | "purge", *_]:
                return Reply(501, "The fake broker does not simulate this request")
            case "POST" | "DELETE", [_, *_]:
                return _spring(400, path)
            case _:
                return _spring(405, path)

    def _patch(self, path: str, body: bytes, *, dry_run: bool, force: bool) -> Reply:
        try:
            request = json.loads(body)
        except ValueError:
            return _spring(400, path)
        return self._coordinated(
            lambda cluster, now: Reply(
                202, cluster.patch(request, now=now, dry_run=dry_run, force=force)
            ),
            path,
        )

    def _cancel(self, change: str, *, dry_run: bool) -> Reply:
        if dry_run:
            return Reply(501, "Dry run is not supported for cancelling changes")
        if not change.isdecimal():
            return Reply(400, {"message": "Change id must be a number"})
        return self._coordinated(
            lambda cluster, now: Reply(200, cluster.cancel(int(change), now=now))
        )

    def _coordinated(
        self, action: Callable[[SimulatedCluster, float], Reply], path: str = ""
    ) -> Reply:
        """Let the coordinator (the lowest member) answer, as every broker does."""

        def ask(cluster: SimulatedCluster, now: float) -> Reply:
            if not cluster.coordinator_lives(now):
                member = cluster.coordinator()
                return Reply(
                    502,
                    {
                        "message": "Expected to send a message with subject 'topology-query' to "
                        f"member '{member}', but member is not known. Known members are "
                        f"'{sorted(cluster.brokers)}'."
                    },
                )
            try:
                return action(cluster, now)
            except Refusal as refusal:
                return Reply(refusal.status, {"message": refusal.message})
            except BadRequest:
                return _spring(400, path)

        return self.perform(ask)

    def _health(self, group: str) -> Reply:
        ready = self.perform(lambda cluster, _: self._ready(cluster))
        answers: dict[str, tuple[bool, Json]] = {
            "startup": (True, {}),
            "status": (ready, {}),
            "readiness": (
                ready,
                {"components": {"brokerReady": {"status": "UP" if ready else "OUT_OF_SERVICE"}}},
            ),
            "": (
                ready,
                {
                    "components": {
                        "brokerReady": {"status": "UP" if ready else "OUT_OF_SERVICE"},
                        "brokerStartup": {"status": "UP"},
                        "brokerStatus": {"status": "UP" if ready else "DOWN"},
                    },
                    "groups": ["readiness", "startup", "status"],
                },
            ),
        }
        if self.settings.dialect != "8.6":
            answers["liveness"] = (True, {})
            answers[""][1]["groups"].insert(0, "liveness")
        if group not in answers:
            return Reply(404)
        up, more = answers[group]
        down = "OUT_OF_SERVICE" if group == "readiness" else "DOWN"
        return Reply(200 if up else 503, {"status": "UP" if up else down, **more})

    def _ready(self, cluster: SimulatedCluster) -> bool:
        presence = cluster.brokers.get(self.settings.node_id)
        return presence is not None and presence.ready

    def _authorized(self, authorization: str) -> bool:
        if not self.users or self.settings.dialect == "8.6":
            return True
        scheme, _, encoded = authorization.partition(" ")
        try:
            pair = base64.b64decode(encoded, validate=True).decode()
        except ValueError:
            return False
        name, _, password = pair.partition(":")
        return scheme.lower() == "basic" and self.users.get(name) == password


class _HttpServer(ThreadingHTTPServer):
    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], broker: Broker
    ) -> None:
        self.broker = broker
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # Without the reverse look-up of the address that HTTPServer makes.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def reply(self) -> Reply:
        raise NotImplementedError

    def _answer(self) -> None:
        reply = self.reply()
        content = b""
        if isinstance(reply.body, str):
            content = reply.body.encode()
        elif reply.body is not None:
            content = json.dumps(reply.body).encode()
        self.send_response(reply.status)
        if content:
            kind = "text/plain" if isinstance(reply.body, str) else "application/json"
            self.send_header("Content-Type", kind)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        if reply.status >= 400:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    # The names by which `http.server` finds what answers a method.
    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815

    def version_string(self) -> str:
        return "fake-broker"

    def log_message(self, *_: Any) -> None:
        """Stay silent: health checks would be most of the log."""


class _ManagementHandler(_Handler):
    def reply(self) -> Reply:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content_type = self.headers.get("Content-Type") or ""
        return self.server.broker.manage(self.command, self.path, content_type, body)


class _RestHandler(_Handler):
    def reply(self) -> Reply:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        authorization = self.headers.get("Authorization") or ""
        return self.server.broker.rest(self.command, self.path, authorization)


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _GrpcHandler(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self) -> None:
        try:
            if self.rfile.read(len(_HTTP2_PREFACE)) != _HTTP2_PREFACE:
                return
            self.wfile.write(_SETTINGS + _SETTINGS_ACK)
            while self.rfile.read(1):
                pass
        except OSError:
            return


def _users(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: environment[key.removesuffix("USERNAME") + "PASSWORD"]
        for key, name in environment.items()
        if _USER.fullmatch(key) and key.removesuffix("USERNAME") + "PASSWORD" in environment
    }


def _spring(status: int, path: str) -> Reply:
    """Answer as Spring does where Camunda's own code was not reached."""
    reasons = {
        400: "Bad Request",
        404: "Not Found",
        405: "Method Not Allowed",
        415: "Unsupported Media Type",
    }
    return Reply(
        status,
        {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "status": status,
            "error": reasons[status],
            "path": path,
        },
    )
