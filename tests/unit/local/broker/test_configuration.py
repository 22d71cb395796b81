"""Plans of changes that no recording has, and the document as brokers pass it on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.broker.configuration import Configuration, Refusal

pytestmark = pytest.mark.unit


def planned(document: Configuration, body: Any, *, force: bool = False) -> list[str]:
    answer = document.patch(body, now=1.0, dry_run=True, force=force)
    return [step["operation"] for step in answer["plannedChanges"]]


def executed(document: Configuration, body: Any, *, force: bool = False) -> None:
    document.patch(body, now=1.0, force=force)
    while (step := document.next_step()) is not None:
        document.begin(step, 2.0)
        document.complete(step, 3.0)


def test_the_document_survives_being_passed_on() -> None:
    document = Configuration(3, 3, 3)
    document.patch({"brokers": {"count": 4}}, now=1.0)
    step = document.next_step()
    assert step is not None
    document.begin(step, 2.0)

    again = Configuration.from_json(json.loads(json.dumps(document.to_json())))

    assert again == document
    assert again.stamp == document.stamp


def test_every_step_makes_a_newer_document() -> None:
    document = Configuration(3, 3, 3)
    stamps = [document.stamp]
    document.patch({"brokers": {"count": 4}}, now=1.0)
    while (step := document.next_step()) is not None:
        document.begin(step, 2.0)
        stamps.append(document.stamp)
        document.complete(step, 3.0)
        stamps.append(document.stamp)
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize("dialect", ["8.9", "8.10"])
def test_leases_are_made_before_and_taken_after_members_change(dialect: Any) -> None:
    operations = planned(Configuration(3, 3, 3, dialect=dialect), {"brokers": {"count": 4}})
    assert (operations[0], operations[-1]) == ("PRE_SCALING", "POST_SCALING")


def test_partitions_are_added_with_all_their_replicas() -> None:
    document = Configuration(3, 3, 3)
    body = {"partitions": {"count": 5}}
    assert planned(document, body) == [
        "START_PARTITION_SCALE_UP",
        "PARTITION_BOOTSTRAP",
        "PARTITION_JOIN",
        "PARTITION_JOIN",
        "PARTITION_BOOTSTRAP",
        "PARTITION_JOIN",
        "PARTITION_JOIN",
        "AWAIT_REDISTRIBUTION",
        "AWAIT_RELOCATION",
    ]
    executed(document, body)
    assert document.partitions == 5
    assert all(len(document.replicas(partition)) == 3 for partition in range(1, 6))
    with pytest.raises(Refusal) as refused:
        planned(document, {"partitions": {"count": 4}})
    assert refused.value.status == 400


def test_a_forced_removal_lowers_the_factor_until_it_is_named_again() -> None:
    document = Configuration(3, 3, 3)
    executed(document, {"brokers": {"remove": [2]}}, force=True)

    assert set(document.members) == {0, 1}
    assert document.replication_factor == 2
    assert document.generations == {1: 2, 2: 2, 3: 2}
    assert "PARTITION_JOIN" not in planned(document, {"brokers": {"count": 2}})
    again = {"brokers": {"count": 3}, "partitions": {"replicationFactor": 3}}
    assert planned(document, again).count("PARTITION_JOIN") == 3


def test_nothing_is_retained_by_a_forced_removal_of_all() -> None:
    with pytest.raises(Refusal, match="having no replicas"):
        planned(Configuration(3, 3, 3), {"brokers": {"remove": [0, 1, 2]}}, force=True)


def all_done(document: Configuration) -> None:
    while (step := document.next_step()) is not None:
        document.begin(step, 2.0)
        document.complete(step, 3.0)


def recovering(size: int = 3, partitions: int = 3, factor: int = 2) -> Configuration:
    document = Configuration(size, partitions, factor, dialect="8.10")
    document.mode("RECOVERING", now=1.0)
    all_done(document)
    return document


def test_recovery_stops_all_partitions_and_processing_starts_them_again() -> None:
    document = Configuration(3, 3, 2, dialect="8.10")
    planned = document.mode("RECOVERING", now=1.0)["plannedChanges"]
    assert [(one["operation"], one["brokerId"]) for one in planned] == [
        *(("ENTER_RECOVERY", node) for node in range(3)),
        *(("AWAIT_MODE_CHANGE", node) for node in range(3)),
    ]
    with pytest.raises(Refusal, match="409"):
        document.mode("PROCESSING", now=1.0)
    all_done(document)
    assert {member.state for member in document.members.values()} == {"RECOVERING"}
    assert document.describe()["brokers"][0]["partitions"][0]["state"] == "RECOVERING"
    assert document.mode("RECOVERING", now=1.0)["plannedChanges"] == []
    document.mode("PROCESSING", now=1.0)
    all_done(document)
    assert {member.state for member in document.members.values()} == {"ACTIVE"}
    assert document.describe()["brokers"][0]["partitions"][0]["state"] == "ACTIVE"


def test_a_restore_drops_and_seeds_every_replica_and_ends_in_processing() -> None:
    with pytest.raises(Refusal, match="409: Restore is only allowed while"):
        Configuration(3, 3, 2, dialect="8.10").restore(7, now=1.0)
    document = recovering()
    assert document.restore_status() is None
    planned = document.restore(7, now=1.0, dry_run=True)["plannedChanges"]
    assert document.pending is None
    operations = [one["operation"] for one in planned]
    assert operations == [
        *["PARTITION_PRE_RESTORE"] * 6,
        *["PARTITION_RESTORE"] * 6,
        *["EXIT_RECOVERY"] * 3,
        *["AWAIT_MODE_CHANGE"] * 3,
        "UPDATE_INCARNATION_NUMBER",
    ]

    change = document.restore(7, now=1.0)["changeId"]
    for _ in range(7):
        step = document.next_step()
        assert step is not None
        document.begin(step, 2.0)
        document.complete(step, 3.0)
    status = document.restore_status()
    assert status is not None
    assert (status["status"], status["changeId"]) == ("IN_PROGRESS", str(change))
    first = status["brokers"][0]
    assert (first["brokerId"], first["partitionsRestored"], first["partitionsToRestore"]) == (
        "0",
        1,
        2,
    )
    assert first["partitions"][0] == {
        "partitionId": 1,
        "state": "RESTORED",
        "backupIds": [7],
        "completedAt": "1970-01-01T00:00:03Z",
    }
    assert first["partitions"][1]["state"] == "RESTORING"
    again = Configuration.from_json(json.loads(json.dumps(document.to_json())))
    assert again == document
    all_done(document)
    assert document.restore_status() is None
    assert document.generations == dict.fromkeys((1, 2, 3), change)
    assert {member.state for member in document.members.values()} == {"ACTIVE"}


def test_a_restore_that_is_cancelled_can_be_asked_for_again() -> None:
    document = recovering()
    change = document.restore(7, now=1.0)["changeId"]
    document.cancel(change, now=2.0)
    assert document.restore(6, now=3.0)["changeId"] > change


def test_an_exporter_is_disabled_on_every_replica_and_enabled_again() -> None:
    document = Configuration(3, 2, 2)
    planned = document.set_exporter("rdbms", "disable", now=1.0)["plannedChanges"]
    assert planned[0] == {
        "operation": "PARTITION_DISABLE_EXPORTER",
        "brokerId": 0,
        "partitionId": 1,
        "brokers": [],
        "exporterId": "rdbms",
    }
    assert len(planned) == 4
    step = document.next_step()
    assert step is not None
    assert document.exporters()[0]["status"] == "ENABLED"
    document.begin(step, 2.0)
    document.complete(step, 3.0)
    assert document.exporters()[0]["status"] == "DISABLING"
    all_done(document)
    assert document.exporters() == [{"exporterId": "rdbms", "status": "DISABLED"}]
    shown = document.describe()["brokers"][0]["partitions"][0]["config"]["exporting"]
    assert shown == {"exporters": [{"id": "rdbms", "state": "DISABLED"}]}

    document.patch({"brokers": {"count": 4}}, now=1.0)
    all_done(document)
    assert document.exporters()[0]["status"] == "DISABLED"
    document.set_exporter("rdbms", "enable", now=1.0)
    all_done(document)
    assert document.exporters()[0]["status"] == "ENABLED"


@pytest.mark.parametrize(
    ("dialect", "exporter", "verb", "why"),
    [
        ("8.9", "other", "disable", "400: .*partition '1' does not have the exporter 'other'"),
        ("8.10", "other", "enable", "404: .*no matching exporters were found"),
        ("8.9", "rdbms", "delete", "400: .*is in state 'ENABLED' instead of 'CONFIG_NOT_FOUND'"),
        ("8.10", "rdbms", "delete", "400: .*the exporter is still configured"),
    ],
)
def test_an_exporter_that_is_configured_or_not_there_is_refused(
    dialect: Any, exporter: str, verb: str, why: str
) -> None:
    document = Configuration(3, 2, 2, dialect=dialect)
    with pytest.raises(Refusal, match=why):
        document.set_exporter(exporter, verb, now=1.0)


def test_exporting_is_paused_by_every_broker_that_holds_a_partition() -> None:
    document = Configuration(3, 1, 2, dialect="8.10")
    planned = document.set_exporting("PAUSED", now=1.0)["plannedChanges"]
    assert [(one["operation"], one["brokerId"], one["exportingState"]) for one in planned] == [
        ("EXPORTING_STATE_CHANGE", 0, "PAUSED"),
        ("EXPORTING_STATE_CHANGE", 1, "PAUSED"),
    ]
    with pytest.raises(Refusal, match="409"):
        document.patch({"brokers": {"count": 4}}, now=1.0)
