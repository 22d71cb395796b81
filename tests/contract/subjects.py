"""What the contract is tried on: recordings of real brokers, the in-memory twin, fake brokers.

A subject is a cluster of `size` brokers with `partitions` and `replication_factor`; a case leaves
it as it was. `turn_to` names what a recording has to show next; the others really do it.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lifecycle.adapters import wire
from lifecycle.adapters.management import MANAGEMENT_PORT, REST_PORT, HttpManagement
from lifecycle.adapters.management_memory import InMemoryManagement
from lifecycle.adapters.management_simulation import Dialect, SimulatedCluster
from lifecycle.core.topology import formation
from lifecycle.errors import ManagementUnavailable

from local.processes import Process, Processes
from tests.contract.replay import Replay
from tests.support.blocks import block

if TYPE_CHECKING:
    from lifecycle.ports import ManagementApi

REPOSITORY = Path(__file__).resolve().parents[2]
_BLOCK = block("contract")
_numbers = itertools.count(1)


class Subject(Protocol):
    dialect: Dialect
    size: int
    partitions: int
    replication_factor: int
    api: ManagementApi

    def turn_to(self, scenario: str) -> None: ...
    def start_broker(self, node: int) -> None: ...
    def kill_broker(self, node: int) -> None: ...
    def address(self, node: int) -> str: ...
    def until(self, condition: Callable[[], bool], seconds: float) -> bool: ...
    def close(self) -> None: ...


class OverHttp:
    """What recordings and brokers have in common: addresses and deployed ports."""

    dialect: Dialect
    size = 3
    partitions = 3
    replication_factor = 3

    def __init__(self) -> None:
        self._cluster = next(_numbers)
        self.api: ManagementApi = HttpManagement(
            "brokers.test", resolve=lambda *_: tuple(map(self.address, self.running()))
        )

    def running(self) -> list[int]:
        return list(range(self.size))

    def address(self, node: int) -> str:
        return f"{_BLOCK}.{self._cluster % 250}.{10 + node}"

    def raw(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        node: int = 0,
        port: int = MANAGEMENT_PORT,
    ) -> tuple[int, Any]:
        """Status and body of any request; the body is parsed when it is JSON."""
        sent = None if body is None else body if isinstance(body, str) else json.dumps(body)
        headers = {} if sent is None else {"Content-Type": kind}
        address = self.address(node)
        answer = wire.exchange(
            wire.Endpoint(address, port, address),
            wire.Request(method, path, None if sent is None else sent.encode(), headers),
            wire.Timeouts(),
        )
        try:
            return answer.status, json.loads(answer.body)
        except ValueError:
            return answer.status, answer.body.decode()

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        give_up = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up:
                return False
            time.sleep(0.05)
        return True


class Recorded(OverHttp):
    dialect: Dialect = "8.6"

    def __init__(self) -> None:
        super().__init__()
        self._replay: Replay | None = None

    def turn_to(self, scenario: str) -> None:
        self.close()
        addresses = [self.address(node) for node in range(4)]
        self._replay = Replay(scenario, addresses, (MANAGEMENT_PORT, REST_PORT))

    def start_broker(self, node: int) -> None:
        pass

    def kill_broker(self, node: int) -> None:
        pass

    def close(self) -> None:
        if self._replay is not None:
            self._replay.close()
            self._replay = None


class Live(OverHttp):
    """Broker processes; they die with the tests."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._children = Processes(directory / "processes.json")
        self._brokers: dict[int, Process] = {}

    def running(self) -> list[int]:
        return sorted(node for node, broker in self._brokers.items() if broker.poll() is None)

    def turn_to(self, scenario: str) -> None:
        pass

    def start_broker(self, node: int) -> None:
        command, environment = self.program(node)
        self._brokers[node] = self._children.spawn(
            f"broker-{node}",
            command,
            environment=environment,
            log=self._directory / f"node-{node}.log",
            directory=REPOSITORY,
        )

    def program(self, node: int) -> tuple[list[str], dict[str, str]]:
        """Command and environment of a broker."""
        raise NotImplementedError

    def kill_broker(self, node: int) -> None:
        broker = self._brokers.pop(node)
        if broker.poll() is None:
            os.kill(broker.pid, signal.SIGKILL)
        broker.wait()

    def form(self, seconds: float) -> None:
        """Start all brokers and wait until the cluster is formed."""
        for node in range(self.size):
            self.start_broker(node)
        if not self.until(lambda: is_formed(self), seconds):
            self.close()
            message = f"no cluster within {seconds} s; see the logs in {self._directory}"
            raise RuntimeError(message)

    def close(self) -> None:
        for node in list(self._brokers):
            self.kill_broker(node)


class Fake(Live):
    def __init__(self, dialect: Dialect, directory: Path) -> None:
        super().__init__(directory)
        self.dialect = dialect
        self.form(20)

    def program(self, node: int) -> tuple[list[str], dict[str, str]]:
        arguments = {
            "--address": self.address(node),
            "--node-id": node,
            "--cluster-size": self.size,
            "--partitions": self.partitions,
            "--replication-factor": self.replication_factor,
            "--state-dir": self._directory / "state",
            "--dialect": self.dialect,
            "--start-seconds": 0.2,
            "--step-seconds": 0.05,
            "--failure-seconds": 2,
        }
        flat = [str(part) for pair in arguments.items() for part in pair]
        return [sys.executable, "-m", "local.fake_broker", *flat], {}


class Twin:
    size = 3
    partitions = 3
    replication_factor = 3

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.cluster = SimulatedCluster(
            self.size, self.partitions, self.replication_factor, dialect=dialect
        )
        self.memory = InMemoryManagement(self.cluster, running=range(self.size))
        self.api: ManagementApi = self.memory
        self.memory.pass_time(2)

    def turn_to(self, scenario: str) -> None:
        pass

    def start_broker(self, node: int) -> None:
        self.memory.start_broker(node)

    def kill_broker(self, node: int) -> None:
        self.memory.kill_broker(node)

    def address(self, node: int) -> str:
        return f"10.0.0.{10 + node}"

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        for _ in range(int(seconds)):
            if condition():
                return True
            self.memory.pass_time(1)
        return condition()

    def close(self) -> None:
        pass


def is_formed(subject: Subject, size: int | None = None) -> bool:
    """Whether the subject is formed with `size` brokers (default: its own)."""
    try:
        configuration, topology = subject.api.configuration(), subject.api.topology()
    except ManagementUnavailable:
        return False
    return formation(
        configuration,
        topology,
        brokers=size or subject.size,
        partitions=subject.partitions,
        replication_factor=subject.replication_factor,
    ).formed
