"""A client at work on a cluster of this machine: it creates instances while the cluster is scaled.

It speaks Camunda's REST API through the load balancer, as any application does, and
remembers what was acknowledged.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.component import Instance

_PROCESS = b"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="demo">
  <bpmn:process id="demo" isExecutable="true">
    <bpmn:startEvent id="start"/>
    <bpmn:sequenceFlow id="to-work" sourceRef="start" targetRef="work"/>
    <bpmn:serviceTask id="work">
      <bpmn:extensionElements><zeebe:taskDefinition type="demo-work"/></bpmn:extensionElements>
    </bpmn:serviceTask>
    <bpmn:sequenceFlow id="to-end" sourceRef="work" targetRef="end"/>
    <bpmn:endEvent id="end"/>
  </bpmn:process>
</bpmn:definitions>
"""
_DISTRIBUTED_SECONDS = 1.0
_PAUSE_SECONDS = 0.05
_SEARCH_SECONDS = 20.0
_PAGE = 1000
_PARTITION_BITS = 51


class _Https(urllib.request.HTTPSHandler):
    """Connects to where the instance's names lead, and verifies the certificate for the name."""

    def __init__(self, instance: Instance) -> None:
        root = instance.config.authority_file
        self._trusting = ssl.create_default_context(cafile=str(root) if root.exists() else None)
        self._names = instance.names
        super().__init__(context=self._trusting)

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, timeout: float = 15.0, **_: Any) -> Any:
        made = http.client.HTTPSConnection(host, timeout=timeout, context=self._trusting)
        place = (self._names.resolve(made.host, made.port) or ((made.host, made.port),))[0]
        made.sock = self._trusting.wrap_socket(
            socket.create_connection(place, timeout), server_hostname=made.host
        )
        return made


class Work:
    """Instances of one process, made one after another by a thread; keys by what was going on."""

    def __init__(self, instance: Instance, url: str, login: Callable[[], str]) -> None:
        """`url` of the load balancer: with HTTPS by a name of `instance`, else by its address.

        `login` gives the header `Authorization`; it is read for each request.
        """
        self._url = url
        self._opener = urllib.request.build_opener(_Https(instance))
        self._login = login
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.phase = "before"
        self.acknowledged: dict[str, str] = {}
        """Phase by the key of each instance whose creation was acknowledged."""
        self.unanswered = 0

    def start(self, *, deploy: bool = True) -> None:
        """Deploy the process, unless another one has, and begin."""
        if deploy:
            self._deploy()
        self._thread.start()

    def stop(self) -> None:
        """Finish the request that is under way."""
        self._over.set()
        self._thread.join()

    def during(self, phase: str, seconds: float = 0.0) -> None:
        """Count what follows under another phase, for so many seconds at least."""
        self.phase = phase
        self._over.wait(seconds)

    def missing(self) -> set[str]:
        """Give the acknowledged instances that a search does not find; it waits for exporting."""
        give_up = time.monotonic() + _SEARCH_SECONDS
        while True:
            lost = set(self.acknowledged) - self._found()
            if not lost or time.monotonic() > give_up:
                return lost
            time.sleep(0.5)

    def counts(self) -> list[tuple[str, int, Counter[int]]]:
        """Give phase, instances, and instances by partition, in the order of the phases."""
        phases = list(dict.fromkeys(self.acknowledged.values()))
        return [
            (
                phase,
                sum(one == phase for one in self.acknowledged.values()),
                Counter(
                    int(key) >> _PARTITION_BITS
                    for key, one in self.acknowledged.items()
                    if one == phase
                ),
            )
            for phase in phases
        ]

    def _deploy(self) -> None:
        boundary = uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="resources"; '
            'filename="demo.bpmn"\r\n\r\n'
        )
        body = head.encode() + _PROCESS + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        self._ask("/v2/deployments", body, {"Content-Type": kind})
        # It is answered before all partitions have the process.
        self._over.wait(_DISTRIBUTED_SECONDS)

    def _run(self) -> None:
        body = json.dumps({"processDefinitionId": "demo"}).encode()
        while not self._over.wait(_PAUSE_SECONDS):
            try:
                created = self._ask("/v2/process-instances", body)
            except OSError:
                self.unanswered += 1
                continue
            self.acknowledged[created["processInstanceKey"]] = self.phase

    def _found(self) -> set[str]:
        keys: set[str] = set()
        start = 0
        while True:
            query = {
                "filter": {"processDefinitionId": "demo"},
                "page": {"from": start, "limit": _PAGE},
            }
            found = self._ask("/v2/process-instances/search", json.dumps(query).encode())
            keys |= {one["processInstanceKey"] for one in found["items"]}
            start += _PAGE
            if len(found["items"]) < _PAGE:
                return keys

    def _ask(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Any:
        sent = {"Authorization": self._login(), "Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310
            f"{self._url}{path}", body, sent | (headers or {}), method="POST"
        )
        with self._opener.open(request, timeout=15) as answer:
            return json.load(answer)
