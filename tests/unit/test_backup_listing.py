"""What a list of backups shows of what can be restored."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifecycle.backup.listing import backups_document, restorable
from lifecycle.backup.ports import DatabaseSeen, SnapshotSeen
from lifecycle.camunda.backups import (
    BackupRange,
    BackupsSeen,
    PartOfBackup,
    PrimaryBackup,
    backups_payload,
)
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.former_data import DatabaseBeside
from lifecycle.errors import ProbeAsleep

from tests.fakes.rds import FakeSizes
from tests.support.api import ApiWorld, living

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def backup(number: int, at: datetime, *, partitions: int = 2, state: str = "COMPLETED") -> Any:
    parts = tuple(
        PartOfBackup(one, state, at, version="8.9.16") for one in range(1, partitions + 1)
    )
    return PrimaryBackup(number, state, parts)


def snapshot(name: str, at: datetime, backup_id: int, status: str = "available") -> SnapshotSeen:
    tags = {"camunda:purpose": "backup", "camunda:backup": str(backup_id)}
    return SnapshotSeen(name, status, at, manual=True, tags=tags)


BROKERS = BackupsSeen(
    enabled=True,
    backups=(backup(3, NOW - HOUR), backup(2, NOW - 8 * DAY), backup(1, NOW - 9 * DAY)),
    ranges=(
        BackupRange(1, NOW - 9 * DAY, NOW - HOUR),
        BackupRange(2, NOW - 9 * DAY, NOW - 3 * DAY),
        BackupRange(2, NOW - 2 * DAY, NOW - HOUR),
    ),
    partitions=2,
)
DATABASE = DatabaseSeen(
    "available",
    earliest=NOW - 7 * DAY,
    latest=NOW - timedelta(minutes=5),
    snapshots=(
        snapshot("of-2", NOW - 8 * DAY - HOUR, 2),
        snapshot("orphan", NOW - 20 * DAY, 77),
        SnapshotSeen("automatic", "available", NOW - DAY, manual=False, tags={}),
        SnapshotSeen("foreign", "available", NOW - DAY, manual=True, tags={}),
    ),
)


def test_a_backup_is_restorable_by_its_snapshot_or_within_auroras_window() -> None:
    found = backups_document(BROKERS, DATABASE)["backups"]
    assert [(one["id"], one["kind"], one["restorable"]) for one in found] == [
        (3, "brokers", True),
        (2, "pair", True),
        (1, "brokers", False),
    ]
    assert "restored to no time before it" in found[2]["why"]
    assert (found[1]["snapshot"], found[0]["snapshot"]) == ("of-2", None)


def test_gaps_and_the_overlap_of_both_are_shown() -> None:
    found = backups_document(BROKERS, DATABASE)
    assert found["gaps"] == [
        {"partition": 2, "from": "2026-03-05T12:00:00.000Z", "to": "2026-03-06T12:00:00.000Z"}
    ]
    assert found["restorable"] == {
        "from": "2026-03-01T12:00:00.000Z",
        "to": "2026-03-08T11:00:00.000Z",
    }
    assert [one["name"] for one in found["snapshots"]] == ["orphan"]


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (backup(4, NOW, partitions=1), "it is of 1 partitions, the cluster has 2"),
        (backup(4, NOW, state="FAILED"), "it is FAILED: partition 1 is FAILED"),
        (backup(4, NOW, state="IN_PROGRESS"), "it is IN_PROGRESS"),
    ],
)
def test_what_cannot_be_restored_says_why(one: PrimaryBackup, why: str) -> None:
    (line,) = backups_document(replace(BROKERS, backups=(one,)), DATABASE)["backups"]
    assert line["restorable"] is False
    assert line["why"].startswith(why)


def test_a_snapshot_that_is_not_available_restores_nothing() -> None:
    database = replace(DATABASE, snapshots=(snapshot("s", NOW - 2 * HOUR, 3, "failed"),))
    assert backups_document(BROKERS, database)["backups"][0]["why"] == "its snapshot s is failed"


@pytest.mark.parametrize(
    ("brokers", "database"),
    [
        (None, DATABASE),
        (BROKERS, None),
        (BROKERS, replace(DATABASE, latest=None)),
        (BROKERS, replace(DATABASE, earliest=NOW - timedelta(minutes=20))),
        (replace(BROKERS, partitions=3), DATABASE),
    ],
)
def test_what_is_not_known_or_does_not_overlap_is_no_window(
    brokers: BackupsSeen | None, database: DatabaseSeen | None
) -> None:
    assert restorable(brokers, database) is None


def test_nothing_that_is_not_known_is_restorable() -> None:
    found = backups_document(BROKERS, None)
    assert [one["restorable"] for one in found["backups"]] == [False] * 3
    assert backups_document(None, None)["backups"] == []
    assert backups_document(None, DATABASE)["snapshots"] == []


class TestRoutes:
    """The routes on the fakes, each answer held to the OpenAPI document."""

    @pytest.fixture
    def api(self) -> ApiWorld:
        world = ApiWorld()
        living(world)
        stack = world.world.stacks.stacks["control-demo"]
        outputs = ClusterOutputs(
            {**stack.outputs, "DatabaseClusterId": "database-1", "BackupBucketName": "backups"}
        )
        world.world.stacks.stacks["control-demo"] = replace(stack, outputs=outputs)
        world.world.probe.answers["backups"] = {"seen": backups_payload(BROKERS), "problem": ""}
        return world

    def test_the_list_has_backups_window_and_cost(self, api: ApiWorld) -> None:
        api.sizes = FakeSizes(of_bucket=2**30, of_database=2**31)
        answer = api.ask("GET", "/clusters/{name}/backups", name="demo")
        assert answer.status == 200
        assert [one["id"] for one in answer.document["backups"]] == [3, 2, 1]
        assert answer.document["cost"]["bucketBytes"] == 2**30
        monthly = answer.document["cost"]["monthly"]
        assert monthly["items"] == {"backups of the brokers": "0.02"}
        assert monthly["total"] is None, "there is no price for the other part"
        assert "Aurora's backup storage" in monthly["missing"][0]
        assert answer.document["unreachable"] == []

    def test_a_former_database_is_listed_of_a_cluster_that_was_restored(
        self, api: ApiWorld
    ) -> None:
        created = datetime(2025, 1, 1, tzinfo=UTC)
        api.world.former.beside = {
            "former": DatabaseBeside("former", "available", created),
            "copy": DatabaseBeside("copy", "available", created, copy=True),
        }
        api.sizes = FakeSizes(of_volume=2**30)
        answer = api.ask("GET", "/clusters/{name}/backups", name="demo")
        assert answer.document["former"] == [], "it was never restored"
        stack = api.world.stacks.stacks["control-demo"]
        outputs = ClusterOutputs({**stack.outputs, "DataGeneration": "2"})
        api.world.stacks.stacks["control-demo"] = replace(stack, outputs=outputs)
        answer = api.ask("GET", "/clusters/{name}/backups", name="demo")
        (line,) = answer.document["former"]
        assert (line["name"], line["createdAt"]) == ("former", "2025-01-01T00:00:00.000Z")
        assert line["bytes"] == 2**30

    def test_a_cost_that_lacks_a_part_has_no_total(self, api: ApiWorld) -> None:
        api.sizes = FakeSizes(of_bucket=2**30, of_database=None)
        answer = api.ask("GET", "/clusters/{name}/backups", name="demo")
        assert answer.document["cost"]["databaseBytes"] is None
        assert answer.document["cost"]["monthly"]["total"] is None

    def test_what_cannot_be_read_is_named_and_hides_nothing_else(self, api: ApiWorld) -> None:
        api.world.probe.answers["backups"] = {"seen": None, "problem": "no broker answers"}
        answer = api.ask("GET", "/clusters/{name}/backups", name="demo")
        assert answer.status == 200
        assert answer.document["unreachable"] == [
            {"part": "brokers", "reason": "no broker answers"}
        ]
        assert answer.document["database"]["latest"] is not None
        assert answer.document["restorable"] is None

    def test_a_probe_that_sleeps_is_named(self, api: ApiWorld) -> None:
        def sleeps(*_: object, **__: object) -> Any:
            raise ProbeAsleep("The function inside the VPC is not connected yet.")

        api.world.probe.answers["backups"] = sleeps
        answer = api.ask("GET", "/clusters/{name}/backups", name="demo")
        assert answer.status == 200
        assert answer.document["unreachable"][0]["part"] == "brokers"

    def test_no_more_requests_than_allowed_query_brokers(self, api: ApiWorld) -> None:
        api.reads.taken = dict.fromkeys(range(3), ("call", 2**40))
        answer = api.ask("GET", "/clusters/{name}/backups", name="demo")
        assert answer.document["unreachable"][0]["reason"].startswith("2 requests query brokers")

    def test_a_cluster_that_is_not_there(self, api: ApiWorld) -> None:
        assert api.ask("GET", "/clusters/{name}/backups", name="other").status == 404

    def test_one_is_taken(self, api: ApiWorld) -> None:
        answer = api.ask("POST", "/clusters/{name}/backups", key="k", name="demo")
        assert answer.status == 202
        assert answer.document["kind"] == "backup"
        given = json.loads(api.execution("demo.backup.k").input)
        assert given == {"clusterName": "demo", "action": "take"}

    def test_only_a_schedule_says_when_it_was_due(self, api: ApiWorld) -> None:
        given = {"scheduledAt": "2026-03-01T02:30:00Z"}
        answer = api.ask("POST", "/clusters/{name}/backups", given, key="k", name="demo")
        assert answer.status == 400
        assert [one["field"] for one in answer.document["errors"]] == ["scheduledAt"]

    def test_one_is_deleted_by_the_id_in_the_path(self, api: ApiWorld) -> None:
        where = ("DELETE", "/clusters/{name}/backups/{id}")
        answer = api.ask(*where, {"confirm": "demo"}, key="k", name="demo", id="7")
        assert answer.status == 202
        given = json.loads(api.execution("demo.backup.k").input)
        assert (given["action"], given["backup"], given["confirm"]) == ("delete", "7", "demo")

    @pytest.mark.parametrize(
        ("body", "number", "field"),
        [
            ({"confirm": "other"}, "7", "confirm"),
            ({}, "7", "confirm"),
            ({"confirm": "demo", "backup": 8}, "7", "backup"),
            ({"confirm": "demo", "action": "take"}, "7", "action"),
            ({"confirm": "demo"}, "x", "backup"),
            ({"confirm": "demo"}, "0", "backup"),
            ({"confirm": "demo"}, str(2**63), "backup"),
        ],
    )
    def test_a_wrong_deletion_names_the_field(
        self, api: ApiWorld, body: dict[str, Any], number: str, field: str
    ) -> None:
        where = ("DELETE", "/clusters/{name}/backups/{id}")
        answer = api.ask(*where, body, key="k", name="demo", id=number)
        assert answer.status == 400
        assert [one["field"] for one in answer.document["errors"]] == [field]

    def test_former_data_is_deleted_by_its_own_path(self, api: ApiWorld) -> None:
        where = ("DELETE", "/clusters/{name}/former-data")
        answer = api.ask(*where, {"confirm": "demo"}, key="k", name="demo")
        assert answer.status == 202
        given = json.loads(api.execution("demo.backup.k").input)
        assert given == {"clusterName": "demo", "action": "delete-former-data", "confirm": "demo"}

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "confirm"),
            ({"confirm": "other"}, "confirm"),
            ({"confirm": "demo", "backup": 7}, "backup"),
            ({"confirm": "demo", "acceptNoFinalSnapshot": 1}, "acceptNoFinalSnapshot"),
            ({"confirm": "demo", "action": "delete"}, "action"),
        ],
    )
    def test_a_wrong_deletion_of_former_data_names_the_field(
        self, api: ApiWorld, body: dict[str, Any], field: str
    ) -> None:
        where = ("DELETE", "/clusters/{name}/former-data")
        answer = api.ask(*where, body, key="k", name="demo")
        assert answer.status == 400
        assert [one["field"] for one in answer.document["errors"]] == [field]

    def test_a_cluster_without_a_database_is_refused(self, api: ApiWorld) -> None:
        living(api)
        answer = api.ask("POST", "/clusters/{name}/backups", key="k", name="demo")
        assert (answer.status, answer.document["error"]) == (409, "StackNotUsable")
