"""The one good value: a leader, copies that lead or follow and are healthy, exporting that follows.

Each case is a report of somebody's cluster. Whatever is absent or unknown is not good.
"""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.camunda.payloads import configuration_payload, topology_payload
from lifecycle.camunda.topology import formation, read_configuration, read_topology

from tests.support.health import HealthWorld, codes


@pytest.fixture
def world() -> HealthWorld:
    return HealthWorld()


def replica(inside: dict[str, Any], role: str, partition: int = 1) -> dict[str, Any]:
    """The first replica of a partition in that role, to be changed."""
    found: dict[str, Any] = next(
        one
        for broker in inside["answers"]["topology"]["brokers"]
        for one in broker["partitions"]
        if one["partitionId"] == partition and one["role"] == role
    )
    return found


def formed(inside: dict[str, Any]) -> tuple[str, ...]:
    """What scaling and rolling updates lack of it."""
    topology = read_topology(inside["answers"]["topology"])
    problems: tuple[str, ...] = formation(
        None, topology, brokers=3, partitions=3, replication_factor=3
    ).problems
    return problems


FOLLOWERS: list[tuple[str, dict[str, Any], str]] = [
    ("inactive and healthy", {"role": "inactive"}, "PARTITION_UNHEALTHY"),
    ("a role of a later version", {"role": "witness"}, "PARTITION_UNHEALTHY"),
    ("no role", {"role": None}, "PARTITION_UNHEALTHY"),
    ("unhealthy", {"health": "unhealthy"}, "PARTITION_UNHEALTHY"),
    ("dead", {"health": "dead"}, "PARTITION_UNHEALTHY"),
    ("no health", {"health": None}, "PARTITION_UNHEALTHY"),
    ("garbage for health", {"health": {"status": True}}, "PARTITION_UNHEALTHY"),
    ("a second leader", {"role": "leader"}, "PARTITION_WITH_TWO_LEADERS"),
    ("learner on 8.10", {"state": "learner"}, "PARTITION_UNHEALTHY"),
    ("recovering on 8.10", {"state": "recovering"}, "PARTITION_UNHEALTHY"),
    ("an unknown state on 8.10", {"state": "unknown"}, "PARTITION_UNHEALTHY"),
    ("garbage for state on 8.10", {"state": 7}, "PARTITION_UNHEALTHY"),
]


@pytest.mark.parametrize(
    ("change", "code"), [one[1:] for one in FOLLOWERS], ids=[one[0] for one in FOLLOWERS]
)
def test_whatever_is_no_healthy_leader_or_follower_is_no_copy(
    world: HealthWorld, change: dict[str, Any], code: str
) -> None:
    inside, _ = world.look()
    replica(inside, "follower").update(change)
    report = world.check(inside=inside)
    assert (report["verdict"], codes(report)) == ("DEGRADED", {code})
    assert any("partition 1 " in problem for problem in formed(inside))


def test_a_copy_too_many_is_told(world: HealthWorld) -> None:
    inside, _ = world.look()
    answers = inside["answers"]
    fourth = {"id": 3, "state": "ACTIVE", "partitions": [{"id": 1, "state": "ACTIVE"}]}
    answers["configuration"]["brokers"].append(fourth)
    one = {"partitionId": 1, "role": "follower", "health": "healthy"}
    answers["topology"]["brokers"].append(
        {"nodeId": 3, "host": "10.0.0.13", "version": "8.9.16-fake", "partitions": [one]}
    )
    world.cloud.brokers |= {"desired": 4, "running": 4}
    report = world.check(inside=inside)
    assert "BROKER_NOT_ACTIVE" in codes(report)
    assert "partition 1 has 4 of 3 copies" in report["text"]
    assert formed(inside) == ("partition 1 has 4 of 3 replicas",)


@pytest.mark.parametrize("missing", ["role", "health"])
def test_a_field_that_is_absent_is_not_good(world: HealthWorld, missing: str) -> None:
    inside, _ = world.look()
    del replica(inside, "follower")[missing]
    assert codes(world.check(inside=inside)) == {"PARTITION_UNHEALTHY"}
    assert formed(inside)


def test_a_leader_whose_health_is_not_told_is_not_called_gone(world: HealthWorld) -> None:
    inside, _ = world.look()
    del replica(inside, "leader")["health"]
    report = world.check(inside=inside)
    assert (report["verdict"], codes(report)) == ("DEGRADED", {"PARTITION_UNHEALTHY"})
    assert formed(inside)


def test_a_state_of_null_is_absent_as_on_8_9(world: HealthWorld) -> None:
    inside, _ = world.look()
    replica(inside, "follower")["state"] = None
    assert world.check(inside=inside)["verdict"] == "HEALTHY"


def test_all_followers_is_down(world: HealthWorld) -> None:
    inside, _ = world.look()
    replica(inside, "leader")["role"] = "follower"
    report = world.check(inside=inside)
    assert (report["verdict"], codes(report)) == ("DOWN", {"PARTITION_WITHOUT_LEADER"})


def test_the_state_of_a_replica_travels(world: HealthWorld) -> None:
    inside, _ = world.look()
    replica(inside, "follower")["state"] = "LEARNER"
    topology = read_topology(inside["answers"]["topology"])
    assert read_topology(topology_payload(topology)) == topology


@pytest.mark.parametrize("name", ["Partitions", "ReplicationFactor"])
def test_numbers_that_nobody_tells_are_unknown(world: HealthWorld, name: str) -> None:
    inside, _ = world.look()
    key = {"Partitions": "partitionsCount", "ReplicationFactor": "replicationFactor"}[name]
    del inside["answers"]["topology"][key]
    world.outputs[name] = ""
    report = world.check(inside=inside)
    assert (report["verdict"], codes(report)) == ("DEGRADED", {"SOURCE_UNAVAILABLE"})


# Exporting


def led(inside: dict[str, Any], partition: int = 1) -> dict[str, Any]:
    """What the leader of a partition tells of it, to be changed."""
    found: dict[str, Any] = next(
        broker["partitions"][str(partition)]
        for broker in inside["answers"]["exporting"]
        if broker["partitions"][str(partition)]["role"] == "LEADER"
    )
    return found


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        ("CLOSED", "EXPORTING_STOPPED"),
        ("FLUSHING", "EXPORTING_STOPPED"),
        ("PAUSED", "EXPORTING_PAUSED"),
        ("", "SOURCE_UNAVAILABLE"),
        (None, "SOURCE_UNAVAILABLE"),
    ],
)
def test_only_exporting_is_exporting(world: HealthWorld, phase: str | None, code: str) -> None:
    inside, _ = world.look()
    led(inside)["exporterPhase"] = phase
    assert codes(world.check(inside=inside)) == {code}
    assert world.check()["verdict"] == "HEALTHY"


def test_an_absent_phase_is_unknown_and_what_it_is_of_is_named(world: HealthWorld) -> None:
    inside, _ = world.look()
    del led(inside, 2)["exporterPhase"]
    report = world.check(inside=inside)
    assert codes(report) == {"SOURCE_UNAVAILABLE"}
    assert "exporter phase of partition 2" in report["text"]


@pytest.mark.parametrize("exported", [-1, None])
def test_an_exporter_that_never_opened_is_stuck(world: HealthWorld, exported: int | None) -> None:
    def look() -> dict[str, Any]:
        inside, _ = world.look()
        led(inside).update(processedPosition=5000, exportedPosition=exported)
        return inside

    reports = [world.check(inside=look()) for _ in range(4)]
    stuck = {"EXPORTING_STUCK"}
    assert [codes(one) for one in reports] == [set(), set(), stuck, stuck]
    assert world.check()["verdict"] == "HEALTHY"


def test_an_idle_partition_is_not_stuck(world: HealthWorld) -> None:
    for _ in range(6):
        inside, _ = world.look()
        led(inside).update(processedPosition=-1, exportedPosition=-1)
        assert world.check(inside=inside)["verdict"] == "HEALTHY"


def test_where_no_exporter_is_configured_nothing_is_stuck(world: HealthWorld) -> None:
    for _ in range(6):
        inside, _ = world.look()
        for member in inside["answers"]["configuration"]["brokers"]:
            for one in member["partitions"]:
                one["config"] = {"exporting": {"exporters": []}}
        led(inside).update(processedPosition=5000, exportedPosition=-1)
        assert world.check(inside=inside)["verdict"] == "HEALTHY"


@pytest.mark.parametrize("state", ["ENABLED", "DISABLED", "CONFIG_NOT_FOUND"])
def test_an_exporter_in_any_state_is_configured(world: HealthWorld, state: str) -> None:
    report = {}
    for _ in range(4):
        inside, _ = world.look()
        for member in inside["answers"]["configuration"]["brokers"]:
            for one in member["partitions"]:
                one["config"] = {"exporting": {"exporters": [{"id": "rdbms", "state": state}]}}
        led(inside).update(processedPosition=5000, exportedPosition=-1)
        report = dict(world.check(inside=inside))
    assert codes(report) == {"EXPORTING_STUCK"}


def test_that_no_exporter_is_configured_travels() -> None:
    told = {
        "brokers": [
            {
                "id": 0,
                "state": "ACTIVE",
                "partitions": [
                    {"id": 1, "state": "ACTIVE", "config": {"exporting": {"exporters": []}}},
                    {"id": 2, "state": "ACTIVE", "config": {"exporting": {"exporters": [{}]}}},
                    {"id": 3, "state": "ACTIVE"},
                ],
            }
        ]
    }
    configuration = read_configuration(told)
    assert [one.exports for one in configuration.members[0].partitions] == [False, True, True]
    assert read_configuration(configuration_payload(configuration)) == configuration


def test_a_partition_that_no_broker_says_it_leads_is_unknown(world: HealthWorld) -> None:
    inside, _ = world.look()
    led(inside)["role"] = "FOLLOWER"
    report = world.check(inside=inside)
    assert (report["verdict"], codes(report)) == ("DEGRADED", {"SOURCE_UNAVAILABLE"})
    assert "partition 1" in report["text"]


def test_no_broker_was_asked_is_unknown(world: HealthWorld) -> None:
    inside, _ = world.look()
    inside["answers"]["exporting"] = []
    assert codes(world.check(inside=inside)) == {"SOURCE_UNAVAILABLE"}


@pytest.mark.parametrize("garbage", ["five", [], {}, 1.5, True])
@pytest.mark.parametrize("key", ["processedPosition", "exportedPosition"])
def test_garbage_for_a_position_is_unknown(world: HealthWorld, key: str, garbage: object) -> None:
    inside, _ = world.look()
    led(inside)[key] = garbage
    assert codes(world.check(inside=inside)) == {"SOURCE_UNAVAILABLE"}
