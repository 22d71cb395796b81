"""The in-memory fake where no other subject goes: half-done changes, credentials, full stops."""

from __future__ import annotations

import pytest
from lifecycle.camunda.credentials import Credentials
from lifecycle.camunda.read_backup import query_backup
from lifecycle.camunda.topology import ChangeStatus, change_status, formation
from lifecycle.errors import ManagementRefused, ManagementUnavailable
from lifecycle.preflight.way_back import read_backup

from tests.fakes.management import InMemoryManagement
from tests.fakes.management_simulation import SimulatedCluster

pytestmark = pytest.mark.unit


def formed(fake: InMemoryManagement, brokers: int) -> bool:
    return formation(
        fake.configuration(), fake.topology(), brokers=brokers, partitions=3, replication_factor=3
    ).formed


def test_a_joining_broker_that_dies_is_waited_for() -> None:
    cluster = SimulatedCluster(3, 3, 3, dialect="8.6")
    fake = InMemoryManagement(cluster, running=range(4))
    fake.pass_time(2)
    change = fake.scale_brokers(4).change_id
    fake.pass_time(0.5)
    fake.kill_broker(3)
    fake.pass_time(60)
    assert change_status(fake.configuration(), change) is ChangeStatus.PENDING

    fake.start_broker(3)
    fake.pass_time(5)

    assert change_status(fake.configuration(), change) is ChangeStatus.COMPLETED
    assert formed(fake, 4)


def test_a_cancelled_change_keeps_what_was_done_and_only_the_way_forward_is_open() -> None:
    cluster = SimulatedCluster(3, 3, 3, dialect="8.6")
    fake = InMemoryManagement(cluster, running=range(4))
    fake.pass_time(2)
    change = fake.scale_brokers(4).change_id
    fake.pass_time(0.5)
    fake.kill_broker(3)
    fake.pass_time(10)
    cluster.cancel(change, now=12.5)

    with pytest.raises(ManagementRefused, match="still has partitions assigned"):
        fake.plan_brokers(3)
    fake.start_broker(3)
    fake.scale_brokers(4)
    fake.pass_time(5)
    assert formed(fake, 4)
    fake.scale_brokers(3)
    fake.pass_time(5)
    assert formed(fake, 3)


def test_removed_brokers_can_come_back() -> None:
    fake = InMemoryManagement(SimulatedCluster(3, 3, 3), running=range(3))
    fake.start_broker(3)
    fake.pass_time(2)
    for count in (4, 3, 4):
        fake.scale_brokers(count)
        fake.pass_time(10)
        assert formed(fake, count)


def test_a_partition_without_a_majority_has_no_leader() -> None:
    fake = InMemoryManagement(SimulatedCluster(3, 3, 3), running=range(3))
    fake.pass_time(2)
    fake.kill_broker(1)
    fake.kill_broker(2)
    fake.pass_time(5)

    roles = {partition.role for partition in fake.topology().brokers[0].partitions}

    assert roles == {"follower"}


def test_nobody_forms_without_the_first_broker() -> None:
    fake = InMemoryManagement(SimulatedCluster(3, 3, 3), running=[1, 2])
    fake.pass_time(30)

    with pytest.raises(ManagementUnavailable):
        fake.topology()
    fake.start_broker(0)
    fake.pass_time(2)
    assert formed(fake, 3)


def test_the_topology_asks_for_credentials() -> None:
    right = Credentials("admin", "right")
    fake = InMemoryManagement(SimulatedCluster(1, 1, 1), running=[0], credentials=right)

    assert fake.topology(right).cluster_size == 1
    for wrong in (None, Credentials("admin", "wrong")):
        with pytest.raises(ManagementRefused):
            fake.topology(wrong)


def test_the_newest_backup_is_told_with_its_state_or_why_not() -> None:
    fake = InMemoryManagement(SimulatedCluster(3, 3, 3), running=range(3))
    fake.pass_time(10)
    told = query_backup(fake)
    assert (told["state"], told["problem"]) == ("COMPLETED", "")
    assert read_backup(told).at is not None
    fake.back_up()
    assert fake.backup_state(2) == "IN_PROGRESS"
    assert query_backup(fake)["state"] == "COMPLETED"
    del fake.taken[1]
    assert query_backup(fake)["state"] == "IN_PROGRESS"
    fake.taken.clear()
    assert query_backup(fake) == {"state": "", "at": None, "unready": [], "problem": ""}
    silent = query_backup(InMemoryManagement(SimulatedCluster(3, 3, 3)))
    assert silent["state"] == ""
    assert silent["problem"]
