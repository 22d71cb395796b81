"""What real brokers report of their own work: every record that they export, once.

Camunda 8.6.0 answers no question about instances that are over. It exports its whole log, though,
and its exporter for Elasticsearch speaks plain HTTP: this listens where Elasticsearch would, and
keeps what matters. Exporting is at least once; a record is known by its partition and position.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Ledger:
    """Instances, jobs and messages as the brokers' logs have them, by key."""

    url: str = ""
    orders: dict[str, set[int]] = field(default_factory=dict)
    began: Counter[int] = field(default_factory=Counter)
    finished: Counter[int] = field(default_factory=Counter)
    ended_otherwise: Counter[int] = field(default_factory=Counter)
    jobs: Counter[int] = field(default_factory=Counter)
    jobs_of: Counter[int] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    correlated: Counter[int] = field(default_factory=Counter)
    partitions: Counter[int] = field(default_factory=Counter)
    exporters: int = 0
    """Addresses that exported: each broker that ever led a partition."""

    def __post_init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()
        self._sources: set[str] = set()
        self._lock = threading.Lock()

    def take(self, body: bytes, source: str = "") -> int:
        """Take in the body of a bulk request; gives the number of records in it."""
        lines = [line for line in body.split(b"\n") if line.strip()]
        # Each record follows a line that says where to.
        records = [json.loads(line) for line in lines[1::2]]
        with self._lock:
            self._sources.add(source)
            self.exporters = len(self._sources)
            for record in records:
                place = (record["partitionId"], record["position"])
                if place not in self._seen:
                    self._seen.add(place)
                    self.partitions[place[0]] += 1
                    self._note(record)
        return len(records)

    def _note(self, record: Mapping[str, Any]) -> None:
        if record["recordType"] != "EVENT":
            return
        value, key = record["value"], int(record["key"])
        match record["valueType"], record["intent"]:
            case "PROCESS_INSTANCE", "ELEMENT_ACTIVATED" if value["bpmnElementType"] == "PROCESS":
                self.began[key] += 1
            case "PROCESS_INSTANCE", "ELEMENT_COMPLETED" if value["bpmnElementType"] == "PROCESS":
                self.finished[key] += 1
            case "PROCESS_INSTANCE", "ELEMENT_TERMINATED" if value["bpmnElementType"] == "PROCESS":
                self.ended_otherwise[key] += 1
            case "VARIABLE", "CREATED" if value["name"] == "order":
                order = json.loads(value["value"])
                self.orders.setdefault(order, set()).add(int(value["processInstanceKey"]))
            case "JOB", "COMPLETED":
                self.jobs[key] += 1
                self.jobs_of[int(value["processInstanceKey"])] += 1
            case "MESSAGE", "PUBLISHED":
                self.messages[value["messageId"]] += 1
            case "PROCESS_MESSAGE_SUBSCRIPTION", "CORRELATED":
                self.correlated[int(value["processInstanceKey"])] += 1

    def caught_up(self, instances: Mapping[str, int]) -> bool:
        """Whether the end of each of these instances was exported."""
        with self._lock:
            return all(self.finished[key] for key in instances.values())

    def contradictions(
        self, instances: Mapping[str, int], jobs: Mapping[int, list[int]], published: set[str]
    ) -> list[str]:
        """What was acknowledged and is not so in the logs, or more than once.

        ``instances``: acknowledged key by order. ``jobs``: keys of jobs whose completion was
        acknowledged, by instance. ``published``: ids of acknowledged messages.
        """
        with self._lock:
            return [*self._of_instances(instances), *self._of_work(jobs, published)]

    def _of_instances(self, instances: Mapping[str, int]) -> Iterator[str]:
        for order, key in instances.items():
            if self.began[key] != 1:
                yield f"{order}: instance {key} began {self.began[key]} times"
            if self.finished[key] != 1:
                yield f"{order}: instance {key} finished {self.finished[key]} times"
            if self.ended_otherwise[key]:
                yield f"{order}: instance {key} was terminated"
            if self.correlated[key] != 1:
                yield f"{order}: {self.correlated[key]} messages correlated to instance {key}"
            if self.jobs_of[key] != 1:
                yield f"{order}: {self.jobs_of[key]} jobs of instance {key} completed"
            if self.orders.get(order, set()) != {key}:
                found = sorted(self.orders.get(order, set()))
                yield f"{order}: acknowledged as {key}, found as {found}"

    def _of_work(self, jobs: Mapping[int, list[int]], published: set[str]) -> Iterator[str]:
        for instance, keys in jobs.items():
            for key in keys:
                if self.jobs[key] != 1:
                    yield f"job {key} of instance {instance} completed {self.jobs[key]} times"
        for message in sorted(published):
            if self.messages[message] != 1:
                yield f"message {message} published {self.messages[message]} times"


@contextmanager
def listening(address: str) -> Iterator[Ledger]:
    """Listen at a loopback address, on any free port."""
    ledger = Ledger()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self._body()
            answer: dict[str, Any] = {"acknowledged": True}
            if self.path.partition("?")[0] == "/_bulk":
                ledger.take(body, self.client_address[0])
                answer = {"took": 0, "errors": False, "items": []}
            text = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815 - http.server's

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    ledger.url = f"http://{address}:{server.server_address[1]}"
    try:
        yield ledger
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
