"""The in-memory twin where no other subject goes: half-done changes, credentials, full stops."""

from __future__ import annotations

import pytest
from lifecycle.camunda.credentials import Credentials
from lifecycle.camunda.read_backup import ask_backup
from lifecycle.camunda.topology import ChangeStatus, change_status, formation
from lifecycle.errors import ManagementRefused, ManagementUnavailable
from lifecycle.preflight.way_back import read_backup

from tests.fakes.management import InMemoryManagement
from tests.fakes.management_simulation import SimulatedCluster

pytestmark = pytest.mark.unit


def formed(twin: InMemoryManagement, brokers: int) -> bool:
    return formation(
        twin.configuration(), twin.topology(), brokers=brokers, partitions=3, replication_factor=3
    ).formed


def test_a_joining_broker_that_dies_is_waited_for() -> None:
    cluster = SimulatedCluster(3, 3, 3, dialect="8.6")
    twin = InMemoryManagement(cluster, running=range(4))
    twin.pass_time(2)
    change = twin.scale_brokers(4).change_id
    twin.pass_time(0.5)
    twin.kill_broker(3)
    twin.pass_time(60)
    assert change_status(twin.configuration(), change) is ChangeStatus.PENDING

    twin.start_broker(3)
    twin.pass_time(5)

    assert change_status(twin.configuration(), change) is ChangeStatus.COMPLETED
    assert formed(twin, 4)


def test_a_cancelled_change_keeps_what_was_done_and_only_the_way_forward_is_open() -> None:
    cluster = SimulatedCluster(3, 3, 3, dialect="8.6")
    twin = InMemoryManagement(cluster, running=range(4))
    twin.pass_time(2)
    change = twin.scale_brokers(4).change_id
    twin.pass_time(0.5)
    twin.kill_broker(3)
    twin.pass_time(10)
    cluster.cancel(change, now=12.5)

    with pytest.raises(ManagementRefused, match="still has partitions assigned"):
        twin.plan_brokers(3)
    twin.start_broker(3)
    twin.scale_brokers(4)
    twin.pass_time(5)
    assert formed(twin, 4)
    twin.scale_brokers(3)
    twin.pass_time(5)
    assert formed(twin, 3)


def test_removed_brokers_can_come_back() -> None:
    twin = InMemoryManagement(SimulatedCluster(3, 3, 3), running=range(3))
    twin.start_broker(3)
    twin.pass_time(2)
    for count in (4, 3, 4):
        twin.scale_brokers(count)
        twin.pass_time(10)
        assert formed(twin, count)


def test_a_partition_without_a_majority_has_no_leader() -> None:
    twin = InMemoryManagement(SimulatedCluster(3, 3, 3), running=range(3))
    twin.pass_time(2)
    twin.kill_broker(1)
    twin.kill_broker(2)
    twin.pass_time(5)

    roles = {partition.role for partition in twin.topology().brokers[0].partitions}

    assert roles == {"follower"}


def test_nobody_forms_without_the_first_broker() -> None:
    twin = InMemoryManagement(SimulatedCluster(3, 3, 3), running=[1, 2])
    twin.pass_time(30)

    with pytest.raises(ManagementUnavailable):
        twin.topology()
    twin.start_broker(0)
    twin.pass_time(2)
    assert formed(twin, 3)


def test_the_topology_asks_for_credentials() -> None:
    right = Credentials("admin", "right")
    twin = InMemoryManagement(SimulatedCluster(1, 1, 1), running=[0], credentials=right)

    assert twin.topology(right).cluster_size == 1
    for wrong in (None, Credentials("admin", "wrong")):
        with pytest.raises(ManagementRefused):
            twin.topology(wrong)


def test_the_newest_backup_is_told_with_its_state_or_why_not() -> None:
    twin = InMemoryManagement(SimulatedCluster(3, 3, 3), running=range(3))
    twin.pass_time(10)
    told = ask_backup(twin)
    assert (told["state"], told["problem"]) == ("COMPLETED", "")
    assert read_backup(told).at is not None
    twin.back_up()
    assert twin.backup_state(2) == "IN_PROGRESS"
    assert ask_backup(twin)["state"] == "COMPLETED"
    del twin.taken[1]
    assert ask_backup(twin)["state"] == "IN_PROGRESS"
    twin.taken.clear()
    assert ask_backup(twin) == {"state": "", "at": None, "unready": [], "problem": ""}
    nobody = ask_backup(InMemoryManagement(SimulatedCluster(3, 3, 3)))
    assert nobody["state"] == ""
    assert nobody["problem"]
