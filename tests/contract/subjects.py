"""What the contract is tried on: recordings of real brokers, the in-memory fake, local brokers.

A subject is a cluster of `size` brokers with `partitions` and `replication_factor`; a case leaves
it as it was. `turn_to` names what a recording has to show next; the others really do it.
"""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lifecycle.adapters.camunda import http_client
from lifecycle.adapters.camunda.management import MANAGEMENT_PORT, REST_PORT, HttpManagement
from lifecycle.camunda.topology import formation
from lifecycle.errors import ManagementUnavailable

from tests.contract.replay import Replay
from tests.fakes.management import InMemoryManagement
from tests.fakes.management_simulation import Dialect, SimulatedCluster
from tests.support.blocks import block
from tests.support.brokers import Brokers, Leases

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.camunda.ports import ManagementApi

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
        self.api: ManagementApi = HttpManagement("brokers.test", resolve=lambda *_: self.serving())

    def running(self) -> list[int]:
        return list(range(self.size))

    def serving(self) -> tuple[str, ...]:
        """Addresses of all that runs."""
        return tuple(map(self.address, self.running()))

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
        answer = http_client.exchange(
            http_client.Endpoint(address, port, address),
            http_client.Request(method, path, None if sent is None else sent.encode(), headers),
            http_client.Timeouts(),
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
    """Local brokers; they die with the tests."""

    def __init__(self, dialect: Dialect, directory: Path, leases: Leases) -> None:
        super().__init__()
        self.dialect = dialect
        self._brokers = Brokers(
            directory,
            f"{_BLOCK}.{100 + self._cluster % 100}",
            leases,
            version={"8.9": "8.9.16", "8.10": "8.10.0"}[dialect],
            environment={"CAMUNDA_SECURITY_AUTHENTICATION_UNPROTECTEDAPI": "true"},
        )
        for task in range(self.size):
            self._brokers.start(task)
        if not self.until(lambda: is_formed(self), 40):
            logs = [self._brokers.log(task) for task in range(self.size)]
            self.close()
            raise RuntimeError(f"no cluster: {logs}")

    def running(self) -> list[int]:
        return sorted(self._brokers.tasks)

    def serving(self) -> tuple[str, ...]:
        return tuple(map(self._brokers.address, self.running()))

    def address(self, node: int) -> str:
        """Address of the broker with this node id; of a task of this number, while it has none."""
        tasks = [task for task in self._brokers.tasks if self._brokers.node_id(task) == node]
        return self._brokers.address(tasks[0] if tasks else node)

    def turn_to(self, scenario: str) -> None:
        pass

    def start_broker(self, node: int) -> None:
        self._brokers.start(node if node not in self._brokers.tasks else max(self.running()) + 1)

    def kill_broker(self, node: int) -> None:
        tasks = [task for task in self._brokers.tasks if self._brokers.node_id(task) == node]
        for task in tasks or [node]:
            self._brokers.kill(task)

    def close(self) -> None:
        self._brokers.close()


class Fake:
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
