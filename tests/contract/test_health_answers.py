"""What the health check asks of each broker, on local brokers."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest
from lifecycle.camunda.meters import NAMES, read_exposition
from lifecycle.errors import ManagementUnavailable

if TYPE_CHECKING:
    from tests.contract.subjects import Live

pytestmark = pytest.mark.contract


def phases(subject: Live) -> set[str]:
    """Exporter phases of all leaders."""
    return {
        one.phase
        for node in range(subject.size)
        for one in subject.api.partitions(subject.address(node))
        if one.role == "LEADER"
    }


def test_each_broker_tells_its_own_partitions(quiet_live: Live) -> None:
    leaders: Counter[int] = Counter()
    for node in range(quiet_live.size):
        told = quiet_live.api.partitions(quiet_live.address(node))
        assert sorted(one.partition for one in told) == [1, 2, 3]
        leaders.update(one.partition for one in told if one.role == "LEADER")
    assert leaders == {1: 1, 2: 1, 3: 1}


def test_every_gateway_shows_the_topology(quiet_live: Live) -> None:
    whole = {one.node_id for one in quiet_live.api.topology().brokers}
    for node in range(quiet_live.size):
        view = quiet_live.api.topology_of(quiet_live.address(node))
        assert {one.node_id for one in view.brokers} == whole


def test_leaders_and_positions_agree_with_the_topology(quiet_live: Live) -> None:
    for broker in quiet_live.api.topology().brokers:
        seen = {one.id for one in broker.partitions if one.role == "leader"}
        told = quiet_live.api.partitions(quiet_live.address(int(broker.node_id)))
        assert {one.partition for one in told if one.role == "LEADER"} == seen
        assert all(one.exported <= max(one.processed, 0) for one in told)


def test_a_pause_of_exporting_is_seen_at_every_leader(quiet_live: Live) -> None:
    assert "PAUSED" not in phases(quiet_live)
    try:
        status, _ = quiet_live.raw("POST", "/actuator/exporting/pause")
        assert status == 200
        assert quiet_live.until(lambda: phases(quiet_live) == {"PAUSED"}, 10)
    finally:
        quiet_live.raw("POST", "/actuator/exporting/resume")
    assert quiet_live.until(lambda: "PAUSED" not in phases(quiet_live), 10)


def test_a_backup_of_each_partition_is_told(quiet_live: Live) -> None:
    status, _ = quiet_live.raw("POST", "/actuator/backupRuntime", {"backupId": 7})
    assert status == 202
    assert quiet_live.until(lambda: sorted(quiet_live.api.backups().latest) == [1, 2, 3], 20)
    seen = quiet_live.api.backups()
    assert sorted(one.partition for one in seen.ranges or ()) == [1, 2, 3]
    # A range ends with the last backup.
    assert all(one.end == seen.latest[one.partition] for one in seen.ranges or ())


def test_backups_answer_as_their_interface_is_described(quiet_live: Live) -> None:
    """`backup-management-api.yaml` of camunda/camunda; ids are given without continuous backups."""
    path = "/actuator/backupRuntime"
    assert quiet_live.raw("POST", path, {})[0] == 400
    for number in (21, 22):
        status, begun = quiet_live.raw("POST", path, {"backupId": number})
        assert (status, begun["backupId"]) == (202, number)
        completed = partial(is_complete, quiet_live, f"{path}/{number}")
        assert quiet_live.until(completed, 20)
    for taken in (22, 20):
        status, refused = quiet_live.raw("POST", path, {"backupId": taken})
        assert status == 409, "one with the same or a higher id already exists"
        assert str(taken) in refused["message"]

    status, found = quiet_live.raw("GET", f"{path}/22")
    assert status == 200
    assert found.keys() == {"backupId", "state", "details"}
    assert [one["partitionId"] for one in found["details"]] == [1, 2, 3]
    for one in found["details"]:
        assert one["state"] == "COMPLETED"
        assert {"createdAt", "checkpointPosition", "brokerId", "brokerVersion"} <= one.keys()
    listed = quiet_live.raw("GET", f"{path}/2*")[1]
    assert [one["backupId"] for one in listed] == [22, 21], "the newest first"

    told = quiet_live.raw("GET", f"{path}/state")[1]
    assert {one["checkpointId"] for one in told["backupStates"]} == {22}
    edge = {"checkpointId", "checkpointType", "checkpointPosition", "checkpointTimestamp"}
    for one in told["ranges"]:
        assert one.keys() == {"partitionId", "start", "end"}
        assert one["start"].keys() == one["end"].keys() == edge | {"firstLogPosition"}

    for _ in range(2):
        assert quiet_live.raw("DELETE", f"{path}/21")[0] == 204
    assert quiet_live.raw("GET", f"{path}/21")[0] == 404


def is_complete(subject: Live, path: str) -> bool:
    return bool(subject.raw("GET", path)[1].get("state") == "COMPLETED")


def test_an_address_without_a_broker_is_unavailable(quiet_live: Live) -> None:
    with pytest.raises(ManagementUnavailable):
        quiet_live.api.partitions(quiet_live.address(200))


def test_each_broker_shows_its_load(quiet_live: Live) -> None:
    for broker in quiet_live.api.topology().brokers:
        address = quiet_live.address(int(broker.node_id))
        led = {one.id for one in broker.partitions if one.role == "leader"}
        found = read_exposition(quiet_live.api.meters(address), address, led)
        assert (found.problem, found.dropped) == ("", 0)
        assert (found.limit_used, found.backlog) == ((0, 0) if led else (None, None))


def test_only_the_metrics_asked_for_are_shown(quiet_live: Live) -> None:
    shown = quiet_live.api.meters(quiet_live.address(0))
    assert {line.split()[2] for line in shown.splitlines() if line.startswith("# TYPE")} <= {*NAMES}


def test_the_metrics_of_an_address_without_a_broker_are_unavailable(quiet_live: Live) -> None:
    with pytest.raises(ManagementUnavailable):
        quiet_live.api.meters(quiet_live.address(200))


def test_a_broker_tells_its_upgrade_readiness_from_8_10_on(quiet_live: Live) -> None:
    expected = () if quiet_live.dialect == "8.10" else ("not reported",)
    for node in range(quiet_live.size):
        assert quiet_live.api.upgrade_readiness(quiet_live.address(node)) == expected
