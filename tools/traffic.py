"""A client outside of the cluster that keeps working, and knows what it was told.

It creates process instances and publishes their messages over REST through the ALB, activates and
completes their jobs over gRPC through the NLB. What the cluster acknowledged is written down, and
afterwards compared with what the cluster reports: ``Traffic.verify``.
"""

from __future__ import annotations

import http.client
import itertools
import json
import queue
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import grpc
from zeebe_grpc import gateway_pb2 as messages
from zeebe_grpc.gateway_pb2_grpc import GatewayStub

# One start, one correlated message, one job, the end.
PROCESS = b"""<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="definitions" targetNamespace="http://orders">
  <message id="paid" name="paid"><extensionElements>
    <zeebe:subscription correlationKey="=order"/></extensionElements></message>
  <process id="order" isExecutable="true">
    <startEvent id="ordered"><outgoing>a</outgoing></startEvent>
    <intermediateCatchEvent id="payment"><incoming>a</incoming><outgoing>b</outgoing>
      <messageEventDefinition messageRef="paid"/></intermediateCatchEvent>
    <serviceTask id="ship">
      <extensionElements><zeebe:taskDefinition type="ship"/></extensionElements>
      <incoming>b</incoming><outgoing>c</outgoing></serviceTask>
    <endEvent id="shipped"><incoming>c</incoming></endEvent>
    <sequenceFlow id="a" sourceRef="ordered" targetRef="payment"/>
    <sequenceFlow id="b" sourceRef="payment" targetRef="ship"/>
    <sequenceFlow id="c" sourceRef="ship" targetRef="shipped"/>
  </process>
</definitions>"""
TIMEOUT = 20.0
# Repeated, because nothing was decided: no partition, no leader, too busy, a connection that broke.
TRANSIENT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.CANCELLED,
}


class Refused(Exception):
    """The cluster did not acknowledge a request."""


@dataclass
class Traffic:
    """What was acknowledged, and each request that failed, by kind and reason."""

    rest: str
    grpc: str
    pause: float = 0.1
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    instances: dict[str, int] = field(default_factory=dict)
    published: set[str] = field(default_factory=set)
    completed: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    failures: list[tuple[float, str]] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._drained = threading.Event()
        self._unpublished: queue.Queue[str] = queue.Queue()
        self._numbers = itertools.count()

    @contextmanager
    def flowing(self) -> Iterator[Traffic]:
        """Keep going inside of the block; at its end let what was begun be finished."""
        self.deploy()
        threads = [
            threading.Thread(target=self._create, name="creates"),
            threading.Thread(target=self._publish, name="publishes"),
            threading.Thread(target=self._work, name="works"),
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.stop()
            for thread in threads:
                thread.join()

    def stop(self) -> None:
        """Create no more, and wait until what was begun is finished."""
        self._over.set()
        deadline = time.monotonic() + 120
        while self.unfinished() and time.monotonic() < deadline:
            time.sleep(0.2)
        self._drained.set()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Hold that nobody outside notices what happens in this block: not one request fails."""
        before, sent = len(self.failures), self.requests.total()
        yield
        failed = [text for _, text in self.failures[before:]]
        assert not failed, f"{len(failed)} of {self.requests.total() - sent}: {failed[:5]}"
        assert self.requests.total() > sent, "no request was made"

    def unfinished(self) -> set[int]:
        """Instances that were acknowledged and whose job is not completed."""
        return set(self.instances.values()) - self.completed.keys()

    def verify(self) -> None:
        """Compare what was acknowledged with what the cluster reports.

        Each acknowledged instance is there and finished: its one job was completed, once, and the
        cluster knows no active instance of that key any more.
        """
        assert self.instances, "nothing was ever acknowledged"
        assert self.published >= self.instances.keys()
        lost = {order for order, key in self.instances.items() if key in self.unfinished()}
        assert not lost, f"acknowledged and not finished: {sorted(lost)[:10]} of {len(lost)}"
        twice = {key: jobs for key, jobs in self.completed.items() if len(jobs) > 1}
        assert not twice, f"finished more than once: {twice}"
        with grpc.insecure_channel(self.grpc) as channel:
            stub = GatewayStub(channel)
            active = [key for key in self.instances.values() if _is_active(stub, key)]
        assert not active, f"completed and still active: {active[:10]} of {len(active)}"

    def deploy(self) -> None:
        """Deploy the process, as often as it takes."""
        resource = messages.Resource(name="order.bpmn", content=PROCESS)
        with grpc.insecure_channel(self.grpc) as channel:
            stub = GatewayStub(channel)
            self._persist(
                "deploy",
                lambda: stub.DeployResource(
                    messages.DeployResourceRequest(resources=[resource]), timeout=TIMEOUT
                ),
            )

    def _create(self) -> None:
        client = Rest(self.rest)
        while not self._over.wait(self.pause):
            order = f"{self.run}-{next(self._numbers)}"
            self.requests["create"] += 1
            try:
                # Never repeated: an answer that was lost may have been a creation.
                answer = client.post(
                    "/v2/process-instances",
                    {"processDefinitionId": "order", "variables": {"order": order}},
                )
            except Refused as error:
                self._failed("create", error)
                continue
            self.instances[order] = int(answer["processInstanceKey"])
            self._unpublished.put(order)

    def _publish(self) -> None:
        client = Rest(self.rest)
        while not self._drained.is_set():
            try:
                order = self._unpublished.get(timeout=0.2)
            except queue.Empty:
                continue
            # The message's id makes it harmless to send it again.
            body = {
                "name": "paid",
                "correlationKey": order,
                "messageId": order,
                "timeToLive": 3_600_000,
            }
            while not self._drained.is_set():
                self.requests["publish"] += 1
                try:
                    client.post("/v2/messages/publication", body)
                except Refused as error:
                    if "409" in str(error):
                        break
                    self._failed("publish", error)
                    time.sleep(0.3)
                    continue
                break
            self.published.add(order)

    def _work(self) -> None:
        with grpc.insecure_channel(self.grpc) as channel:
            stub = GatewayStub(channel)
            while not self._drained.is_set():
                self.requests["activate"] += 1
                request = messages.ActivateJobsRequest(
                    type="ship",
                    worker="traffic",
                    # Longer than any accident here: what is activated is completed by this worker.
                    timeout=20_000,
                    maxJobsToActivate=20,
                    requestTimeout=2_000,
                )
                try:
                    for answer in stub.ActivateJobs(request, timeout=TIMEOUT):
                        for job in answer.jobs:
                            self._complete(stub, job)
                except grpc.RpcError as error:
                    self._failed("activate", _told(error))
                    time.sleep(0.3)

    def _complete(self, stub: Any, job: Any) -> None:
        order = json.loads(job.variables).get("order", "")
        if not order.startswith(self.run):
            return
        sent = 0

        def complete() -> None:
            nonlocal sent
            sent += 1
            stub.CompleteJob(messages.CompleteJobRequest(jobKey=job.key), timeout=TIMEOUT)

        try:
            self._persist("complete", complete)
        except grpc.RpcError as error:
            # Completed by an earlier attempt whose answer was lost; else it was somebody else.
            if sent == 1 or error.code() is not grpc.StatusCode.NOT_FOUND:
                self._failed("complete", _told(error))
                return
        if job.key not in self.completed[job.processInstanceKey]:
            self.completed[job.processInstanceKey].append(job.key)

    def _persist(self, kind: str, call: Any) -> None:
        for _ in range(200):
            self.requests[kind] += 1
            try:
                call()
            except grpc.RpcError as error:
                if error.code() not in TRANSIENT:
                    raise
                self._failed(kind, _told(error))
                time.sleep(0.3)
            else:
                return
        raise AssertionError(f"{kind} was never acknowledged")

    def _failed(self, kind: str, error: Exception) -> None:
        self.failures.append((time.time(), f"{kind}: {error}"))


class Rest:
    """One connection to the ALB, made anew when it broke."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Post JSON and give the answer's; raises ``Refused`` for everything but success."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    self._host, self._port, timeout=TIMEOUT
                )
            self._connection.request(
                "POST", path, json.dumps(body), {"Content-Type": "application/json"}
            )
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            raise Refused(repr(error)) from error
        if answer.status not in {200, 204}:
            raise Refused(f"HTTP {answer.status} {content[:200]!r}")
        return json.loads(content) if content else None


def _is_active(stub: Any, key: int) -> bool:
    """Ask by trying to cancel it: what is finished cannot be found."""
    request = messages.CancelProcessInstanceRequest(processInstanceKey=key)
    try:
        stub.CancelProcessInstance(request, timeout=TIMEOUT)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return False
        raise
    return True


def _told(error: Any) -> Exception:
    return Refused(f"{error.code().name} {str(error.details())[:200]}")
