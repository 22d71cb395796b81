"""Processes through the REST API: the client on the local broker's own API, and its fake."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest
import uvicorn
from lifecycle.adapters.camunda.http_client import Timeouts
from lifecycle.adapters.camunda.management import REST_PORT
from lifecycle.adapters.camunda.processes import HttpProcesses
from lifecycle.camunda.credentials import Credentials
from lifecycle.errors import (
    CredentialsRefused,
    CredentialsWithheld,
    ManagementRefused,
    ManagementUnavailable,
)
from lifecycle.rehearsal.marker import MESSAGE, VARIABLE, variables
from lifecycle.rehearsal.marker import PROCESS as MARKER
from lifecycle.rehearsal.ports import Count, Mark, SearchedProcesses
from lifecycle.rehearsal.totals import EDGE, queries
from lifecycle.verification.ports import Processes
from lifecycle.verification.process_instances import PROCESS, PROCESS_ID, RESOURCE, partition_of

from local.broker.rest import rest_app
from local.broker.users import Users
from tests.fakes.processes import FakeProcesses
from tests.support.memory_gateway import USERS, MemoryGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.contract

ADMIN = Credentials("admin", "secret")
CONTENT = PROCESS.encode()
_BLOCK = f"127.{60 + os.getpid() % 80}.253"
_numbers = itertools.count(1)


class Subject(Protocol):
    """A cluster whose leaders and exporters a case stops."""

    api: Processes

    def stop_leader(self, partition: int) -> None: ...

    def pause_exporter(self, partition: int) -> None: ...

    def versions(self) -> int: ...


class Fake:
    def __init__(self) -> None:
        self.memory = FakeProcesses(3)
        self.api: Processes = self.memory

    def stop_leader(self, partition: int) -> None:
        self.memory.silent.add(partition)

    def pause_exporter(self, partition: int) -> None:
        self.memory.paused.add(partition)

    def versions(self) -> int:
        return len(self.memory.resources)


class Broker:
    """The local broker's REST API on port 8080 of an address of its own."""

    def __init__(self) -> None:
        self.gateway = MemoryGateway()
        self.address = f"{_BLOCK}.{next(_numbers)}"
        app = rest_app(self.gateway, Users(USERS, self.gateway))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        self._listener = socket.create_server((self.address, REST_PORT))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )
        self._thread.start()
        self.api: Processes = self.client(self.address)

    def client(self, *addresses: str, networks: tuple[str, ...] = ()) -> HttpProcesses:
        return HttpProcesses(
            "brokers",
            networks=networks,
            timeouts=Timeouts(connect=0.5, read=2.0),
            resolve=lambda *_: addresses,
        )

    def stop_leader(self, partition: int) -> None:
        self.gateway.down.add(partition)

    def pause_exporter(self, partition: int) -> None:
        self.gateway.paused.add(partition)

    def versions(self) -> int:
        return len(self.gateway.engines[1].data["processes"].get(PROCESS_ID, ()))

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


@pytest.fixture
def broker() -> Iterator[Broker]:
    found = Broker()
    yield found
    found.close()


@pytest.fixture(params=["fake", "broker"])
def subject(request: pytest.FixtureRequest) -> Subject:
    made: Subject = Fake() if request.param == "fake" else request.getfixturevalue("broker")
    return made


def created(subject: Subject, times: int) -> list[int]:
    return [subject.api.create_instance(PROCESS_ID, ADMIN) for _ in range(times)]


def found(subject: Subject, keys: list[int]) -> frozenset[int]:
    """What is found at last: a first search may be too early."""
    subject.api.found_instances(keys, ADMIN)
    return subject.api.found_instances(keys, ADMIN)


def test_instances_are_made_on_each_partition_in_turn_and_found(subject: Subject) -> None:
    subject.api.deploy(RESOURCE, CONTENT, ADMIN)
    keys = created(subject, 3)
    assert sorted(map(partition_of, keys)) == [1, 2, 3]
    assert found(subject, keys) == frozenset(keys)


def test_the_same_again_makes_no_other_version(subject: Subject) -> None:
    subject.api.deploy(RESOURCE, CONTENT, ADMIN)
    subject.api.deploy(RESOURCE, CONTENT, ADMIN)
    assert subject.versions() == 1


def test_a_partition_whose_exporter_is_paused_is_not_found(subject: Subject) -> None:
    subject.api.deploy(RESOURCE, CONTENT, ADMIN)
    subject.pause_exporter(2)
    keys = created(subject, 3)
    assert {partition_of(key) for key in keys} - {
        partition_of(key) for key in found(subject, keys)
    } == {2}


def test_a_partition_without_a_leader_is_passed_over(subject: Subject) -> None:
    subject.api.deploy(RESOURCE, CONTENT, ADMIN)
    subject.stop_leader(3)
    assert {partition_of(key) for key in created(subject, 6)} == {1, 2}


def test_without_any_leader_nothing_is_made(subject: Subject) -> None:
    subject.api.deploy(RESOURCE, CONTENT, ADMIN)
    for partition in (1, 2, 3):
        subject.stop_leader(partition)
    with pytest.raises(ManagementUnavailable, match="503"):
        created(subject, 1)


def test_only_what_is_asked_for_is_found(subject: Subject) -> None:
    subject.api.deploy(RESOURCE, CONTENT, ADMIN)
    mine, _other = created(subject, 2)
    assert found(subject, [mine, mine + 999]) == frozenset({mine})


def test_nothing_of_it_runs_on(broker: Broker) -> None:
    broker.api.deploy(RESOURCE, CONTENT, ADMIN)
    keys = created(broker, 9)
    assert found(broker, keys) == frozenset(keys)
    assert [engine.data["instances"] for engine in broker.gateway.engines.values()] == [{}] * 3
    ended = [one for one in broker.gateway.exported if one["type"] == "PROCESS_INSTANCE"]
    names = {one["value"]["processDefinitionName"] for one in ended}
    assert names == {"Verification by camunda-ecs-lifecycle"}
    assert {one["value"]["state"] for one in ended} == {"ACTIVE", "COMPLETED"}


def test_a_process_that_is_not_there_is_refused_in_camundas_words(broker: Broker) -> None:
    with pytest.raises(ManagementRefused, match="process ID 'camunda-lifecycle-verification'"):
        broker.api.create_instance(PROCESS_ID, ADMIN)


def test_a_wrong_password_is_refused(broker: Broker) -> None:
    with pytest.raises(CredentialsRefused, match="401") as refused:
        broker.api.create_instance(PROCESS_ID, Credentials("admin", "not-the-secret"))
    assert "not-the-secret" not in str(refused.value)


def test_the_password_does_not_leave_the_vpc_in_clear(broker: Broker) -> None:
    outside = broker.client("192.0.2.1", networks=("10.0.0.0/8",))
    with pytest.raises(CredentialsWithheld):
        outside.create_instance(PROCESS_ID, ADMIN)


def test_a_broker_that_is_gone_is_passed_over_and_one_gateway_is_asked_first(
    broker: Broker,
) -> None:
    gone = f"{_BLOCK}.{next(_numbers)}"
    api = broker.client(broker.address, gone)
    api.deploy(RESOURCE, CONTENT, ADMIN)
    assert {partition_of(api.create_instance(PROCESS_ID, ADMIN)) for _ in range(3)} == {1, 2, 3}
    assert api.addresses() == tuple(sorted((broker.address, gone)))


class Searching(Processes, SearchedProcesses, Protocol):
    """Both ports of one client."""


def searching(subject: Subject) -> Searching:
    found: Any = subject.api
    return cast("Searching", found)


def states(subject: Subject, keys: list[int]) -> list[str]:
    marks = searching(subject).marks(keys, VARIABLE, ADMIN)
    by_key = {one.key: one.state for one in marks}
    return [by_key[key] for key in keys]


def planted(subject: Subject, numbers: int = 1) -> list[int]:
    api = searching(subject)
    api.deploy(MARKER.resource, MARKER.content, ADMIN)
    made = [
        api.create_instance(MARKER.process_id, ADMIN, variables("r1", one))
        for one in range(1, numbers + 1)
    ]
    found(subject, made)
    return made


def test_a_marker_waits_and_has_its_variable(subject: Subject) -> None:
    (key,) = planted(subject)
    assert list(searching(subject).marks([key], VARIABLE, ADMIN)) == [Mark(key, "ACTIVE", '"r1/1"')]
    assert list(searching(subject).marks([key + 999], VARIABLE, ADMIN)) == []


def test_a_message_lets_only_its_own_marker_go_on(subject: Subject) -> None:
    keys = planted(subject, 3)
    searching(subject).publish(MESSAGE, "r1/2", ADMIN)
    searching(subject).publish(MESSAGE, "another", ADMIN)
    assert states(subject, keys) == ["ACTIVE", "COMPLETED", "ACTIVE"]


def test_markers_that_run_are_found_and_cancelled(subject: Subject) -> None:
    keys = planted(subject, 3)
    searching(subject).publish(MESSAGE, "r1/1", ADMIN)
    assert set(searching(subject).active(MARKER.process_id, ADMIN)) == set(keys[1:])
    for key in (*keys, keys[0] + 999):
        searching(subject).cancel(key, ADMIN)
    assert list(searching(subject).active(MARKER.process_id, ADMIN)) == []
    assert states(subject, keys) == ["COMPLETED", "TERMINATED", "TERMINATED"]


def test_each_search_of_a_rehearsal_is_counted(broker: Broker) -> None:
    planted(broker, 3)
    now = datetime.fromtimestamp(broker.gateway.now / 1000, UTC)
    totals = {
        one.key: searching(broker).count(one.what, one.wanted, ADMIN)
        for one in queries(now + 2 * EDGE)
    }
    assert totals["process definitions, all time"] == Count(1)
    assert totals["process instances started, the last hour"] == Count(3)
    assert totals["process instances started, all time"] == Count(3)
    assert totals["process instances completed, all time"] == Count(0)
    assert totals["user tasks created, all time"] == Count(0)
    earlier = {
        one.key: searching(broker).count(one.what, one.wanted, ADMIN)
        for one in queries(now - timedelta(hours=2))
    }
    assert earlier["process instances started, all time"] == Count(0)
    later = {
        one.key: searching(broker).count(one.what, one.wanted, ADMIN)
        for one in queries(now + timedelta(hours=2))
    }
    assert totals["process instances started, the last minute"] == Count(3)
    assert later["process instances started, the last hour"] == Count(0)
    assert later["process instances started, the last day"] == Count(3)
