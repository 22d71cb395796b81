"""A client at work on a cluster, which writes down each answer that counts.

`python -m tests.support.traffic --log FILE http://ADDRESS:8080...` deploys a linear process, then
each worker creates an instance with a business value of its own, completes the jobs that it gets,
and publishes the message that each of their instances waits for, until SIGTERM. A line of the log
is one request: `did` (deploy, create, complete, publish), `outcome`, `value`, `key`, `status`. The
outcome is `acknowledged`, `refused` (4xx, or never sent: nothing was done), or `ambiguous` (no
answer, or 5xx: it may have been done). No request is repeated with the same business value.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import signal
import ssl
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

PROCESS_ID = "traffic"
JOB_TYPE = "traffic-work"
MESSAGE = "traffic-go"
_TIMEOUT_SECONDS = 12.0
_LOCK_MS = 5_000
_KEPT_MS = 120_000
_PROCESS = f"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="http://bpmn.io/schema/bpmn">
  <bpmn:process id="{PROCESS_ID}" isExecutable="true">
    <bpmn:startEvent id="start"><bpmn:outgoing>f1</bpmn:outgoing></bpmn:startEvent>
    <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="work"/>
    <bpmn:serviceTask id="work"><bpmn:extensionElements>
      <zeebe:taskDefinition type="{JOB_TYPE}"/>
    </bpmn:extensionElements></bpmn:serviceTask>
    <bpmn:sequenceFlow id="f2" sourceRef="work" targetRef="wait"/>
    <bpmn:intermediateCatchEvent id="wait">
      <bpmn:messageEventDefinition id="event" messageRef="go"/>
    </bpmn:intermediateCatchEvent>
    <bpmn:sequenceFlow id="f3" sourceRef="wait" targetRef="end"/>
    <bpmn:endEvent id="end"/>
  </bpmn:process>
  <bpmn:message id="go" name="{MESSAGE}"><bpmn:extensionElements>
    <zeebe:subscription correlationKey="=key"/>
  </bpmn:extensionElements></bpmn:message>
</bpmn:definitions>
"""


class Log:
    """The log of all workers of one process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._turn = threading.Lock()

    def note(self, did: str, status: int | None, value: str, key: str = "") -> bool:
        """Write a line; give whether the request was acknowledged. `status` is 0 when nothing was
        sent, None without an answer.
        """
        ambiguous = status is None or status >= 500
        outcome = "ambiguous" if ambiguous else "refused"
        if status is not None and 200 <= status < 300:
            outcome = "acknowledged"
        line = {"did": did, "outcome": outcome, "value": value, "key": key, "status": status}
        with self._turn:
            self._file.write(json.dumps(line | {"at": round(time.time(), 3)}) + "\n")
        return outcome == "acknowledged"


class Client:
    """One worker's connection; another address has its turn whenever one fails."""

    def __init__(self, addresses: list[str], turn: int, user: str, password: str) -> None:
        self._addresses = addresses
        self._turn = turn
        self._connection: http.client.HTTPConnection | None = None
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {encoded}"}

    def ask(
        self, path: str, body: object, kind: str = "application/json"
    ) -> tuple[int | None, dict[str, Any]]:
        """POST; give status and body: 0 when nothing was sent, None without an answer."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection = self._connect()
        except OSError:
            self._drop()
            return 0, {}
        try:
            headers = self._headers | {"Content-Type": kind}
            connection.request("POST", f"/v2/{path}", sent, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self._drop()
            return None, {}
        if answer.status >= 500:
            self._drop()
        try:
            found = json.loads(text)
        except ValueError:
            found = {}
        return answer.status, found

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            url = urlsplit(self._addresses[self._turn % len(self._addresses)])
            host, port = url.hostname or "", url.port
            if url.scheme == "https":
                # Whom it speaks to is not what is proven here.
                context = ssl._create_unverified_context()  # noqa: S323
                self._connection = http.client.HTTPSConnection(
                    host, port, timeout=_TIMEOUT_SECONDS, context=context
                )
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
            self._connection.connect()
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._turn += 1


class Worker(threading.Thread):
    """Creates, completes and publishes until it is stopped."""

    def __init__(self, client: Client, log: Log, stop: threading.Event, pause: float) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._log = log
        self._stop_event = stop
        self._pause = pause

    def run(self) -> None:
        """Go round until the stop."""
        while not self._stop_event.wait(self._pause):
            self._create()
            for job in self._jobs():
                self._complete(job)

    def _create(self) -> None:
        value = str(uuid.uuid4())
        status, answer = self._client.ask(
            "process-instances",
            {"processDefinitionId": PROCESS_ID, "businessId": value, "variables": {"key": value}},
        )
        self._log.note("create", status, value, answer.get("processInstanceKey", ""))

    def _jobs(self) -> list[dict[str, Any]]:
        _, answer = self._client.ask(
            "jobs/activation",
            {
                "type": JOB_TYPE,
                "worker": self.name,
                "timeout": _LOCK_MS,
                "maxJobsToActivate": 3,
                "requestTimeout": -1,
            },
        )
        return list(answer.get("jobs", []))

    def _complete(self, job: dict[str, Any]) -> None:
        value = job["variables"]["key"]
        status, _ = self._client.ask(f"jobs/{job['jobKey']}/completion", {})
        if self._log.note("complete", status, value, job["jobKey"]):
            status, answer = self._client.ask(
                "messages/publication",
                {
                    "name": MESSAGE,
                    "correlationKey": value,
                    "messageId": value,
                    "timeToLive": _KEPT_MS,
                },
            )
            self._log.note("publish", status, value, answer.get("messageKey", ""))


def deploy(client: Client, log: Log, stop: threading.Event) -> None:
    """Deploy the process; repeating it is harmless."""
    bound = uuid.uuid4().hex
    body = (
        f'--{bound}\r\nContent-Disposition: form-data; name="resources"; filename="{PROCESS_ID}'
        f'.bpmn"\r\nContent-Type: application/octet-stream\r\n\r\n{_PROCESS}\r\n--{bound}--\r\n'
    ).encode()
    while not stop.is_set():
        status, answer = client.ask("deployments", body, f"multipart/form-data; boundary={bound}")
        if log.note("deploy", status, PROCESS_ID, answer.get("deploymentKey", "")):
            # It is answered before all partitions have the process.
            stop.wait(1.0)
            return
        stop.wait(0.5)


def main() -> None:
    """Work until SIGTERM; end when each worker has the answer that it waits for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("addresses", nargs="+", help="http(s)://host:port, in turn")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--pause", type=float, default=0.3, help="seconds between two rounds")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="secret")
    given = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    log = Log(given.log)
    clients = [
        Client(given.addresses, turn, given.user, given.password) for turn in range(given.workers)
    ]
    deploy(clients[0], log, stop)
    workers = [Worker(client, log, stop, given.pause) for client in clients]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


class Traffic:
    """The client in a process of its own; a context manager."""

    def __init__(self, log: Path, addresses: Sequence[str], **options: object) -> None:
        self.log = log
        given = [f"--{name}={value}" for name, value in options.items()]
        self._command = [sys.executable, "-m", "tests.support.traffic", f"--log={log}", *given]
        self._command += addresses
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.log.touch()
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(self._command, cwd=root)  # noqa: S603
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each worker have its last answer; repeating it is harmless."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def acknowledged(self, did: str = "complete") -> int:
        """Give how many requests of a kind were acknowledged until now."""
        text = self.log.read_text()
        return text.count(f'{{"did": "{did}", "outcome": "acknowledged"')

    def goes_on(self, seconds: float = 20, more: int = 30) -> bool:
        """Wait until so many more completions are acknowledged; give whether they are."""
        wanted = self.acknowledged() + more
        give_up = time.monotonic() + seconds
        while self.acknowledged() < wanted:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.1)
        return True


if __name__ == "__main__":
    main()
