"""The scenarios of the recordings, played on local brokers: what was done between the calls."""

from __future__ import annotations

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.contract.recorded import Call, Json, configuration, exchange, polled
from tests.support.brokers import Brokers, Leases
from tests.support.cloud import eventually

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 20.0
_STUCK_SECONDS = 2.0
_LEASE_SECONDS = 3.0
_CLUSTER = "/actuator/cluster"


class Played:
    """A cluster of three brokers and the answers that it gave, by number of the call."""

    def __init__(
        self, directory: Path, block: str, leases: Leases, version: str, tasks: int = 3
    ) -> None:
        self.answers: dict[int, Json] = {}
        self._leases = leases
        self._calls: dict[int, Call] = {}
        self._brokers = Brokers(
            directory,
            block,
            leases,
            version=version,
            environment={"CAMUNDA_SECURITY_AUTHENTICATION_UNPROTECTEDAPI": "true"},
        )
        for task in range(tasks):
            self._brokers.start(task)
        if tasks and not eventually(lambda: self._brokers.ready(*range(tasks)), 40):
            logs = [self._brokers.log(task) for task in range(tasks)]
            self.close()
            raise RuntimeError(f"no cluster: {logs}")

    def play(self, calls: list[Call], expected: dict[int, Json], steps: Steps) -> None:
        """Make the calls in their order, and what came before each."""
        self._calls = {call.number: call for call in calls}
        for call in calls:
            for method, *arguments in steps.get(call.number, []):
                getattr(self, method)(*arguments)
            if call.number not in self.answers:
                self.answers[call.number] = self._answer(call, expected[call.number])

    def at_once(self, *numbers: int) -> None:
        """Make calls side by side."""
        calls = [self._calls[number] for number in numbers]
        with ThreadPoolExecutor(len(calls)) as pool:
            made = list(pool.map(lambda call: exchange(self._url(call), call, {}), calls))
        self.answers |= {call.number: answer for call, answer in zip(calls, made, strict=True)}

    # What was done between the calls

    def start(self, count: int = 1) -> None:
        """Start tasks; the node id is whatever lease is free."""
        for task in [
            one for one, process in self._brokers.tasks.items() if process.poll() is not None
        ]:
            self._brokers.kill(task)
        for _ in range(count):
            self._brokers.start(next(n for n in range(9) if n not in self._brokers.tasks))

    def kill(self, node: int, number: int = signal.SIGKILL) -> None:
        """End the broker with this node id."""
        self._brokers.kill(self._brokers.task_of(node), number)

    def stop(self, *nodes: int) -> None:
        """Stop brokers in good order."""
        for node in nodes:
            self.kill(node, signal.SIGTERM)

    def freeze(self, node: int) -> None:
        """Stop the broker's process in its tracks."""
        os.kill(self._brokers.tasks[self._brokers.task_of(node)].pid, signal.SIGSTOP)

    def thaw(self, node: int) -> None:
        """Let a frozen process go on."""
        os.kill(self._brokers.tasks[self._brokers.task_of(node)].pid, signal.SIGCONT)

    def exits(self, *nodes: int) -> None:
        """Wait until the brokers with these node ids have ended by themselves."""
        for node in nodes:
            ended = self._brokers.tasks[self._brokers.task_of(node)].poll
            assert eventually(lambda code=ended: code() is not None, _PATIENCE)  # type: ignore[misc]

    def forgotten(self, node: int) -> None:
        """Wait until the others do not know a broker any more."""
        task = self._brokers.task_of(1)
        assert eventually(lambda: node not in self._known(task), _PATIENCE)

    def has_node(self, node: int) -> None:
        """Wait until a task has this node id."""
        tasks = self._brokers.tasks
        assert eventually(lambda: node in map(self._brokers.node_id, tasks), _PATIENCE)

    def lease_lapses(self) -> None:
        """Wait until the lease of a broker that was killed is free."""
        time.sleep(_LEASE_SECONDS + 1)

    def over(self) -> None:
        """Wait until no change is under way."""
        assert eventually(lambda: "pendingChange" not in self._configuration(), 60)

    def healthy(self) -> None:
        """Wait until every task is ready and each partition has all its replicas."""
        live = [one for one, process in self._brokers.tasks.items() if process.poll() is None]
        assert eventually(lambda: self._brokers.ready(*live), 40)

    def dies_while_joining(self, node: int) -> None:
        """Kill a broker as soon as one of its partitions joins."""
        assert eventually(lambda: self._joins(node), _PATIENCE)
        self.kill(node)

    def wipe(self, node: int) -> None:
        """Delete what a node has on its disk."""
        shutil.rmtree(self._brokers.directory / "data" / f"node-{node}")

    def free_lease(self, node: int) -> None:
        """Put the lease of a node into the bucket, as PRE_SCALING does."""
        self._leases.client().put_object(
            Bucket=self._brokers.lease_bucket, Key=f"{node}.json", Body=b"", Metadata={}
        )

    def close(self) -> None:
        """End all brokers."""
        self._brokers.close()

    # Answers

    def _known(self, task: int) -> list[int]:
        found = self._brokers.ask(task, "/v2/topology", port=8080)[1]
        return [broker["nodeId"] for broker in found["brokers"]]

    def _answer(self, call: Call, expected: Json) -> Json:
        if call.poll:
            return self._poll(call, expected)
        answer = exchange(self._url(call), call, {})
        # What is passed on from broker to broker, and elections, take their time.
        asks = call.method == "GET" or call.path == "/v2/process-instances"
        give_up = time.monotonic() + _PATIENCE
        while asks and answer != expected and time.monotonic() < give_up:
            time.sleep(0.1)
            answer = exchange(self._url(call), call, {})
        return answer

    def _poll(self, call: Call, expected: Json) -> Json:
        stuck = "pending" in expected["end"]
        samples: list[Json] = []

        def ended() -> bool:
            samples.append(self._configuration(call))
            return "pendingChange" not in samples[-1] or (
                stuck and configuration(samples[-1]) == expected["end"]
            )

        eventually(ended, _PATIENCE if stuck else 60)
        if stuck:
            time.sleep(_STUCK_SECONDS)
            samples.append(self._configuration(call))
        return polled(samples)

    def _configuration(self, call: Call | None = None) -> Json:
        task = self._brokers.task_of(call.broker if call else 0)
        found: Json = self._brokers.ask(task, _CLUSTER)[1]
        return found

    def _joins(self, node: int) -> bool:
        found: Any = self._configuration()
        return any(
            held["state"] == "JOINING"
            for broker in found["brokers"]
            for held in broker["partitions"]
            if broker["id"] == node
        )

    def _url(self, call: Call) -> str:
        """URL of the broker with this node id, or of a place where nobody is."""
        for task in self._brokers.tasks:
            if self._brokers.node_id(task) == call.broker:
                return f"http://{self._brokers.address(task)}:{call.port}"
        return f"http://{self._brokers.address(200)}:{call.port}"


type Steps = dict[int, list[tuple[Any, ...]]]
"""By number of a call what was done before it: methods of `Played` with their arguments."""

# Calls 1 to 169: one cluster, scaled out and in, with brokers killed and stopped.
FIRST: Steps = {
    97: [("start",), ("has_node", 3)],
    105: [("start", 2)],
    115: [("exits", 3, 4, 5)],
    129: [("kill", 2)],
    144: [("start",)],
    145: [("kill", 2), ("wipe", 2), ("start",)],
    147: [("healthy",), ("stop", 0)],
    148: [("forgotten", 0)],
    154: [("start",), ("has_node", 0)],
    155: [("start",)],
    156: [("dies_while_joining", 3)],
    158: [("start",)],
    159: [("stop", 3)],
    161: [("stop", 0, 1, 2), ("start", 3), ("has_node", 0), ("has_node", 1), ("has_node", 2)],
    162: [("kill", 1)],
}
# Calls 170 to 195: partitions, members without partitions, a frozen coordinator.
SECOND: Steps = {
    178: [("free_lease", 3), ("start",), ("has_node", 3)],
    185: [("over",), ("exits", 3)],
    186: [("start",)],
    192: [("freeze", 0), ("at_once", 192, 193, 194)],
    195: [("thaw", 0), ("exits", 0), ("start",), ("has_node", 0)],
}
# Calls 196 to 199: brokers that start alone.
THIRD: Steps = {
    196: [("start",), ("has_node", 0), ("kill", 0), ("start",), ("has_node", 1)],
    199: [("lease_lapses",), ("start",), ("has_node", 0)],
}
# Calls 200 to 218: a change that is cancelled half way, and how it is mended.
FOURTH: Steps = {
    201: [("start",)],
    204: [("over",), ("exits", 3), ("start",)],
    205: [("dies_while_joining", 3)],
    209: [("start",), ("has_node", 3)],
    216: [("over",), ("exits", 3), ("start",)],
    217: [("over",), ("healthy",)],
    218: [("over",)],
}
