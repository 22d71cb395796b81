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
from lifecycle.errors import AwsUnavailable, ProbeAsleep
from lifecycle.restore.facts import MARGIN, SnapshotFound, Window
from lifecycle.restore.ports import Thing

from tests.fakes.rds import FakeSizes
from tests.support.api import ApiWorld, living

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


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


def test_a_backup_is_restorable_unless_a_restore_would_refuse_it() -> None:
    found = backups_document(BROKERS, DATABASE, {1: "no database"})["backups"]
    assert [(one["id"], one["kind"], one["restorable"], one["why"]) for one in found] == [
        (3, "brokers", True, ""),
        (2, "pair", True, ""),
        (1, "brokers", False, "no database"),
    ]
    assert (found[1]["snapshot"], found[0]["snapshot"]) == ("of-2", None)


def test_gaps_and_the_overlap_of_both_are_shown() -> None:
    found = backups_document(BROKERS, DATABASE, {})
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
    (line,) = backups_document(replace(BROKERS, backups=(one,)), DATABASE, {})["backups"]
    assert line["restorable"] is False
    assert line["why"].startswith(why)


def test_a_snapshot_that_is_not_available_is_the_reason_where_nothing_else_restores_it() -> None:
    database = replace(DATABASE, snapshots=(snapshot("s", NOW - 2 * HOUR, 3, "failed"),))
    refused = backups_document(BROKERS, database, {3: "no database"})["backups"][0]
    assert refused["why"] == "its snapshot s is failed"
    # Continuous backup reaches there.
    assert backups_document(BROKERS, database, {})["backups"][0]["restorable"]


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
    found = backups_document(BROKERS, None, None)
    assert [one["restorable"] for one in found["backups"]] == [False] * 3
    assert {one["why"] for one in found["backups"]} == {"the database could not be read"}
    assert backups_document(None, None, None)["backups"] == []
    assert backups_document(None, DATABASE, None)["snapshots"] == []


class TestWhatARestoreTakes:
    """The list shows of each backup what a restore of it decides."""

    @pytest.fixture
    def api(self) -> ApiWorld:
        world = ApiWorld()
        living(world)
        self.stack(world, {})
        now = world.world.clock.now()
        self.answer(world, [now - HOUR], since=now - 9 * DAY)
        world.restored.windows = [Window("database-1", now - 7 * DAY, now - 5 * MINUTE)]
        return world

    def stack(self, api: ApiWorld, outputs: dict[str, str]) -> None:
        stack = api.world.stacks.stacks["control-demo"]
        more = {"DatabaseClusterId": "database-1", "Partitions": "2", **outputs}
        api.world.stacks.stacks["control-demo"] = replace(
            stack,
            outputs=ClusterOutputs({**stack.outputs, **more}),
            parameters={"CamundaVersion": "8.9.16"},
        )

    def answer(self, api: ApiWorld, times: list[datetime], **given: Any) -> None:
        """Let the brokers list backups of these times, the newest first."""
        since, until = given.pop("since", times[-1]), api.world.clock.now()
        seen = BackupsSeen(
            enabled=True,
            backups=tuple(backup(100 - place, at) for place, at in enumerate(times)),
            ranges=given.pop(
                "ranges", (BackupRange(1, since, until), BackupRange(2, since, until))
            ),
            partitions=2,
            **given,
        )
        answer = {"seen": backups_payload(seen), "problem": ""}
        api.world.probe.answers["backups"] = answer

    def listed(self, api: ApiWorld) -> list[str]:
        answer = api.ask("GET", "/clusters/{name}/backups", name="demo")
        assert answer.status == 200, answer.document
        found = answer.document["backups"]
        assert [one["restorable"] for one in found] == [not one["why"] for one in found]
        return [one["why"] for one in found]

    def take(self, api: ApiWorld, one: SnapshotFound) -> None:
        api.restored.taken[one.name] = one
        api.restored.snapshots[one.name] = Thing("available", {})

    def test_the_newest_when_aurora_has_reached_it(self, api: ApiWorld) -> None:
        now = api.world.clock.now()
        latest = now - 5 * MINUTE
        for at, why in (
            (now - MINUTE, "Aurora can be restored to it in some minutes"),
            # RDS restores to before its latest restorable time.
            (latest + MARGIN, "Aurora can be restored to it in some minutes"),
            (latest + MARGIN - timedelta(seconds=1), ""),
        ):
            self.answer(api, [at])
            (told,) = self.listed(api)
            assert told.startswith(why)
            assert bool(told) == bool(why)
        # A pair needs no continuous backup.
        self.answer(api, [now - MINUTE])
        self.take(api, SnapshotFound("pair", now - 2 * MINUTE, 100, "database-1"))
        assert self.listed(api) == [""]

    def test_the_database_is_of_half_a_minute_before_the_backup(self, api: ApiWorld) -> None:
        earliest = api.world.clock.now() - 7 * DAY
        self.answer(api, [earliest + MARGIN, earliest + MARGIN - timedelta(seconds=1)])
        first, second = self.listed(api)
        assert first == ""
        assert second.startswith("the database can be restored to no time before it")

    def test_what_lies_in_a_gap_of_a_partition(self, api: ApiWorld) -> None:
        now = api.world.clock.now()
        ranges = (
            BackupRange(1, now - 9 * HOUR, now),
            BackupRange(2, now - 9 * HOUR, now - 6 * HOUR),
            BackupRange(2, now - 4 * HOUR, now),
        )
        times = [now - 3 * HOUR, now - 5 * HOUR, now - 7 * HOUR]
        self.answer(api, times, ranges=ranges)
        after, within, before = self.listed(api)
        assert (after, before) == ("", "")
        assert "lies in a gap: partition 2 can be restored from" in within
        # A snapshot changes nothing of that.
        self.take(api, SnapshotFound("pair", times[1] - MINUTE, 99, "database-1"))
        assert "lies in a gap" in self.listed(api)[1]

    def test_what_a_former_database_still_covers(self, api: ApiWorld) -> None:
        """A restore has replaced it; it was in use until the present one was created."""
        now = api.world.clock.now()
        replaced = now - 6 * HOUR
        self.stack(api, {"DataGeneration": "2", "DatabaseSnapshot": "s", "RestoredBackup": "7"})
        self.answer(api, [now - HOUR, replaced - HOUR, replaced - 2 * DAY])
        present = Window("database-1", replaced, now - 5 * MINUTE, replaced)
        api.restored.windows = [present]
        newest, *older = self.listed(api)
        assert newest == ""
        assert all("restored to no time before it" in one for one in older)
        former = Window("database-0", now - DAY, now - 5 * MINUTE, now - 30 * DAY)
        api.restored.windows = [present, former]
        newest, covered, before = self.listed(api)
        assert (newest, covered) == ("", "")
        assert "restored to no time before it" in before

    def test_a_version_that_the_cluster_does_not_restore(self, api: ApiWorld) -> None:
        stack = api.world.stacks.stacks["control-demo"]
        parameters = {"CamundaVersion": "8.11.0"}
        api.world.stacks.stacks["control-demo"] = replace(stack, parameters=parameters)
        (told,) = self.listed(api)
        assert "is of 8.9.16 and the cluster runs 8.11.0" in told

    def test_databases_that_cannot_be_read_leave_it_open(self, api: ApiWorld) -> None:
        def fails(cluster: str) -> Any:
            raise AwsUnavailable(f"RDS does not respond about {cluster}.")

        api.restored.found = fails  # type: ignore[method-assign]
        answer = api.ask("GET", "/clusters/{name}/backups", name="demo")
        assert [one["why"] for one in answer.document["backups"]] == [
            "the database could not be read"
        ]
        assert answer.document["unreachable"] == [
            {"part": "databases to restore from", "reason": "RDS does not respond about demo."}
        ]

    def test_brokers_that_return_no_version_have_nothing_held_against_them(
        self, api: ApiWorld
    ) -> None:
        at = api.world.clock.now() - HOUR
        parts = tuple(PartOfBackup(one, "COMPLETED", at) for one in (1, 2))
        ranges = (BackupRange(1, at, at), BackupRange(2, at, at))
        seen = BackupsSeen(
            enabled=True,
            backups=(PrimaryBackup(1, "COMPLETED", parts),),
            ranges=ranges,
            partitions=2,
        )
        answer = {"seen": backups_payload(seen), "problem": ""}
        api.world.probe.answers["backups"] = answer
        assert self.listed(api) == [""]


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
