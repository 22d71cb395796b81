"""What a health check measures: each value, and no data point for what is unknown."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from lifecycle.errors import ManagementUnavailable
from lifecycle.health.measure import BASIC, DETAILED, UNITS
from lifecycle.health.verdict import as_document, read_document

from benchmarks.health import METRICS
from tests.support.health import HealthWorld

type Sides = Callable[[dict[str, Any], dict[str, Any]], None]


@pytest.fixture
def world() -> HealthWorld:
    made = HealthWorld()
    made.simulated.processed = 1000
    return made


def measured(world: HealthWorld, change: Sides | None = None) -> dict[str, float]:
    """The metrics of one check, of what both sides see once ``change`` has changed it."""
    inside, outside = world.look()
    if change is not None:
        change(inside, outside)
    world.check(inside, outside)
    return world.metrics.emitted[-1][1]


def silent(source: str) -> Sides:
    def change(inside: dict[str, Any], outside: dict[str, Any]) -> None:
        side = inside if source in inside["answers"] else outside
        del side["answers"][source]
        side["problems"][source] = "no answer within 6 s"

    return change


def test_a_cluster_that_is_well(world: HealthWorld) -> None:
    world.cloud.restorable = (world.clock.now() + timedelta(minutes=1)).isoformat()
    measured(world)
    assert measured(world) == {
        "Verdict": 0,
        "Findings": 0,
        "UnknownSources": 0,
        "CheckSeconds": 0,
        "BrokersExpected": 3,
        "BrokersJoined": 3,
        "Partitions": 3,
        "PartitionsWithoutLeader": 0,
        "PartitionsUnderReplicated": 0,
        "ProcessingBacklog": 0,
        "ExportingBacklog": 0,
        "RequestsDropped": 0,
        "RequestLimitUsed": 0,
        "BrokerBackupAge": pytest.approx(world_age(world)),
        "DatabaseBackupAge": 540,
        # From the brokers' first backup to their last one.
        "RestoreWindow": pytest.approx(3610),
        "BackupGaps": 0,
    }


def test_a_gap_counts_in_each_partition_and_backups_apart_leave_no_window(
    world: HealthWorld,
) -> None:
    def broken(inside: dict[str, Any], outside: dict[str, Any]) -> None:
        ranges = inside["answers"]["backups"]["ranges"]
        ends = {"start": "2025-12-01T00:00:00Z", "end": "2025-12-02T00:00:00Z"}
        ranges += [{"partition": one, **ends} for one in (1, 3)]
        inside["answers"]["backups"]["leftOut"] = 4
        outside["answers"]["database"]["restorable"] = "2025-11-30T00:00:00Z"

    found = measured(world, broken)
    assert (found["BackupGaps"], found["RestoreWindow"]) == (6, 0)


def test_a_partition_without_a_range_has_no_window(world: HealthWorld) -> None:
    def without(inside: dict[str, Any], _: dict[str, Any]) -> None:
        del inside["answers"]["backups"]["ranges"][1]

    assert not {"RestoreWindow", "BackupGaps"} & measured(world, without).keys()


def world_age(world: HealthWorld) -> float:
    """Seconds since the oldest of the partitions' newest backups."""
    latest = world.management.backups().latest.values()
    return max((world.clock.at - at).total_seconds() for at in latest if at is not None)


def test_every_metric_that_is_emitted_has_a_unit_and_every_unit_a_metric(
    world: HealthWorld,
) -> None:
    world.cloud.restorable = world.clock.now().isoformat()
    measured(world)
    assert measured(world).keys() == UNITS.keys()


@pytest.mark.parametrize("given", ["false", "", None])
def test_detailed_metrics_are_switched_by_the_stack(world: HealthWorld, given: str | None) -> None:
    del world.outputs["DetailedMetrics"]
    if given is not None:
        world.outputs["DetailedMetrics"] = given
    inside, _ = world.look()
    assert "meters" not in {*inside["answers"], *inside["problems"]}
    assert measured(world).keys() == BASIC.keys()


def test_load_is_that_of_the_worst_partition(world: HealthWorld) -> None:
    world.management.in_flight = {1: 10, 2: 95, 3: 0}
    world.management.behind = {1: 4, 3: 12}
    world.simulated.lags = {2: 300}
    found = measured(world)
    assert found["RequestLimitUsed"] == 95
    assert found["ProcessingBacklog"] == 12
    assert found["ExportingBacklog"] == 300


def test_dropped_requests_are_those_since_the_check_before(world: HealthWorld) -> None:
    first, second, _ = world.management.addresses()
    world.management.dropped = {first: 5}
    # The first count of a broker may be years old.
    assert "RequestsDropped" not in measured(world)
    world.management.dropped = {first: 8, second: 2}
    assert measured(world)["RequestsDropped"] == 5
    assert measured(world)["RequestsDropped"] == 0
    # It was restarted: its counter began anew.
    world.management.dropped = {first: 1, second: 2}
    assert measured(world)["RequestsDropped"] == 1


def test_what_was_dropped_while_a_broker_was_not_read_is_not_lost(world: HealthWorld) -> None:
    first = world.management.addresses()[0]
    world.management.dropped = {first: 5}
    measured(world)

    def unread(inside: dict[str, Any], _: dict[str, Any]) -> None:
        inside["answers"]["meters"][0].update(problem="timed out", dropped=None)

    world.management.dropped = {first: 9}
    assert measured(world, unread)["RequestsDropped"] == 0
    assert measured(world)["RequestsDropped"] == 4


def test_counts_of_dropped_requests_outlast_the_record(world: HealthWorld) -> None:
    first = world.management.addresses()[0]
    world.management.dropped = {first: 5}
    measured(world)
    record = world.records.find("demo")
    assert record is not None
    kept = read_document(as_document(record))
    assert kept is not None
    assert kept.memory.dropped == dict.fromkeys(world.management.addresses(), 0) | {first: 5}


def test_since_when_backups_are_kept_outlasts_the_record(world: HealthWorld) -> None:
    world.outputs |= {"BackupRetentionDays": "14", "DatabaseBackupRetentionDays": "7"}
    world.check()
    first = world.clock.at
    world.check()
    record = world.records.find("demo")
    assert record is not None
    kept = read_document(as_document(record))
    assert kept is not None
    assert kept.memory.kept == (7, first)
    # What an earlier version wrote has none.
    document = json.loads(as_document(record))
    del document["memory"]["kept"]
    before = read_document(json.dumps(document))
    assert before is not None
    assert before.memory.kept is None


@pytest.mark.parametrize(
    ("source", "absent"),
    [
        (
            "topology",
            {
                "BrokersJoined",
                "PartitionsWithoutLeader",
                "PartitionsUnderReplicated",
                "ProcessingBacklog",
                "RequestLimitUsed",
            },
        ),
        ("configuration", {"BrokersExpected", "BrokersJoined"}),
        ("exporting", {"ExportingBacklog"}),
        ("meters", {"ProcessingBacklog", "RequestLimitUsed", "RequestsDropped"}),
        ("backups", {"BrokerBackupAge", "RestoreWindow", "BackupGaps"}),
        ("database", {"DatabaseBackupAge", "RestoreWindow"}),
    ],
)
def test_a_source_that_is_unknown_has_no_data_point(
    world: HealthWorld, source: str, absent: set[str]
) -> None:
    world.cloud.restorable = world.clock.now().isoformat()
    measured(world)
    assert set(UNITS) - measured(world, silent(source)).keys() == absent


def test_metrics_that_were_not_read_change_no_verdict(world: HealthWorld) -> None:
    inside, outside = world.look()
    silent("meters")(inside, outside)
    report = world.check(inside, outside)
    assert report["verdict"] == "HEALTHY"
    assert world.metrics.emitted[-1][1]["UnknownSources"] == 0


def test_one_leader_that_was_not_read_leaves_the_largest_unknown(world: HealthWorld) -> None:
    def unread(inside: dict[str, Any], _: dict[str, Any]) -> None:
        inside["answers"]["meters"][1].update(problem="timed out", limitUsed=None, backlog=None)

    assert not {"ProcessingBacklog", "RequestLimitUsed"} & measured(world, unread).keys()


def test_a_partition_without_a_leader_leaves_the_largest_unknown(world: HealthWorld) -> None:
    def headless(inside: dict[str, Any], _: dict[str, Any]) -> None:
        for broker in inside["answers"]["topology"]["brokers"]:
            for one in broker["partitions"]:
                if one["partitionId"] == 2:
                    one["role"] = "follower"

    found = measured(world, headless)
    assert found["PartitionsWithoutLeader"] == 1
    assert not {"ProcessingBacklog", "RequestLimitUsed"} & found.keys()


def test_a_broker_that_is_gone(world: HealthWorld) -> None:
    world.management.kill_broker(2)
    world.management.pass_time(60)
    found = measured(world)
    assert (found["BrokersExpected"], found["BrokersJoined"]) == (3, 2)
    assert found["PartitionsUnderReplicated"] == 3
    assert found["PartitionsWithoutLeader"] == 0
    assert found["ProcessingBacklog"] == 0


def test_a_partition_without_a_backup_has_no_age(world: HealthWorld) -> None:
    def without(inside: dict[str, Any], _: dict[str, Any]) -> None:
        inside["answers"]["backups"]["latest"][1]["at"] = None

    assert "BrokerBackupAge" not in measured(world, without)


def test_a_broker_that_does_not_answer_is_a_problem_of_its_own(
    world: HealthWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = world.management.addresses()
    answers = world.management.meters

    def meters(address: str) -> str:
        if address == first:
            raise ManagementUnavailable(f"{first}:9600 answered with more than 1048576 bytes.")
        return answers(address)

    monkeypatch.setattr(world.management, "meters", meters)
    inside, _ = world.look()
    shown = {one["address"]: one["problem"] for one in inside["answers"]["meters"]}
    assert "1048576" in shown[first]
    assert [shown[one] for one in others] == ["", ""]


def test_the_number_of_metrics_does_not_grow_with_the_cluster() -> None:
    assert (len(BASIC), len(DETAILED)) == (4, 13)
    assert len(UNITS) == METRICS
