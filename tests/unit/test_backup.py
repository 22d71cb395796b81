"""Backups that can be restored: the database's snapshot first, then the brokers' backup."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.backup.decisions import snapshot_name
from lifecycle.camunda.backups import (
    MOST_LISTED,
    BackupsSeen,
    PrimaryBackup,
    backups_payload,
    read_backup_list,
    read_backups,
)
from lifecycle.errors import BackupFailed, BackupRefused, InvalidResponse, ProbeAsleep
from lifecycle.operation.model import Operation

from tests.support.backup import BackupWorld

if TYPE_CHECKING:
    from lifecycle.backup.ports import SnapshotSeen


def operation(world: BackupWorld) -> Operation:
    made = Operation(
        operation_id="demo.backup.1",
        execution_arn="arn:execution:demo:backup:1",
        cluster="demo",
        machine="backup",
        started_at=world.clock.now().isoformat(),
        ecs_cluster="control-demo",
    )
    world.table.begin(made, now=world.clock.now())
    return made


def only_snapshot(world: BackupWorld) -> SnapshotSeen:
    (found,) = world.databases.taken.values()
    return found


def new_backups(world: BackupWorld) -> list[int]:
    """Ids of the backups but the one that was there at first."""
    return sorted(set(world.brokers.taken) - {1})


def take(world: BackupWorld, **request: Any) -> dict[str, Any]:
    return world.take(operation(world), **{"maxAgeHours": None, **request})


class TestTaken:
    def test_the_brokers_backup_begins_after_the_snapshot_is_available(self) -> None:
        world = BackupWorld()
        answer = take(world)
        (backup,) = new_backups(world)
        snapshot = only_snapshot(world)
        assert answer["status"] == "TAKEN"
        assert answer["backup"]["id"] == backup
        assert answer["backup"]["state"] == "COMPLETED"
        assert answer["backup"]["partitions"] == 3
        assert answer["backup"]["version"] == "8.9.16"
        assert answer["backup"]["snapshot"] == snapshot.name
        assert snapshot.at is not None
        begun = datetime.fromisoformat(answer["backup"]["at"])
        assert begun >= snapshot.at + timedelta(seconds=world.databases.seconds)
        assert snapshot.tags == {
            "camunda:control-plane": "control",
            "camunda:cluster": "demo",
            "camunda:purpose": "backup",
            "camunda:operation": "demo.backup.1",
            "camunda:data-generation": "1",
            "camunda:backup": str(backup),
        }

    @pytest.mark.parametrize("wanted", [True, False])
    def test_a_look_that_is_repeated_takes_nothing_twice(self, *, wanted: bool) -> None:
        world = BackupWorld()
        answer = world.take(operation(world), forget=True, maxAgeHours=None, snapshot=wanted)
        assert answer["status"] == "TAKEN"
        assert len(new_backups(world)) == 1
        assert len(world.databases.taken) == int(wanted)

    @pytest.mark.parametrize("lost", ["before", "after"])
    def test_a_request_whose_answer_was_lost_leads_to_one_backup(self, lost: str) -> None:
        world = BackupWorld()
        world.management.lost_backups = [lost]
        assert take(world)["status"] == "TAKEN"
        assert len(new_backups(world)) == 1

    def test_without_continuous_backups_the_id_is_the_operations(self) -> None:
        world = BackupWorld(ContinuousBackup="false")
        world.brokers.continuous = False
        began = world.clock.now()
        answer = take(world)
        assert answer["backup"]["id"] == int(began.timestamp() * 1000)
        assert new_backups(world) == [answer["backup"]["id"]]

    def test_an_id_that_is_too_low_is_raised(self) -> None:
        world = BackupWorld(ContinuousBackup="false")
        world.brokers.continuous = False
        higher = 20_261_130_000_000_000
        world.brokers.taken[higher] = world.brokers.taken[1]
        assert take(world)["backup"]["id"] == higher + 1

    def test_an_adopted_cluster_that_does_not_return_its_setting_takes_an_id_if_it_must(
        self,
    ) -> None:
        world = BackupWorld(ContinuousBackup="", DatabaseClusterId="")
        world.brokers.continuous = False
        answer = take(world, snapshot=False, maxAgeHours=0)
        assert answer["status"] == "TAKEN"
        assert answer["backup"]["snapshot"] == ""

    def test_one_that_the_schedule_has_begun_counts_where_no_snapshot_is_before_it(self) -> None:
        world = BackupWorld()
        world.brokers.backup_seconds = 30
        world.brokers.back_up()
        answer = take(world, snapshot=False)
        assert (answer["status"], answer["backup"]["id"]) == ("TAKEN", 2)
        assert new_backups(world) == [2]

    def test_one_that_the_schedule_began_long_ago_and_that_never_ends_is_not_waited_for(
        self,
    ) -> None:
        world = BackupWorld()
        world.brokers.taken[2] = (world.brokers.now, 3)
        world.brokers.stuck.add(2)
        world.pass_seconds(3600)
        began = world.clock.now()
        answer = take(world, snapshot=False)
        assert (answer["status"], answer["backup"]["id"]) == ("TAKEN", 3)
        assert world.clock.now() - began < timedelta(minutes=5)

    def test_one_that_the_schedule_has_begun_and_that_fails_is_followed_by_another(self) -> None:
        world = BackupWorld()
        world.brokers.backup_seconds = 30
        world.brokers.back_up()
        op, request = operation(world), {"maxAgeHours": None, "snapshot": False}
        answer = world.backup_taker.take(op, world.outputs, request=request, memory={})
        world.brokers.failed.add(2)
        while answer["status"] == "WAITING":
            world.pass_seconds(answer["wait"])
            memory = answer["memory"]
            answer = world.backup_taker.take(op, world.outputs, request=request, memory=memory)
        assert (answer["status"], answer["backup"]["id"]) == ("TAKEN", 3)

    def test_a_snapshot_of_days_ago_is_not_paired_with_a_backup_of_now(self) -> None:
        """Resumed, the operation finds its snapshot there, and the brokers may lack days since."""
        world = BackupWorld()
        op, request = operation(world), {"maxAgeHours": None}
        answer = world.backup_taker.take(op, world.outputs, request=request, memory={})
        world.pass_seconds(answer["wait"])
        world.pass_seconds(5 * 3600)
        memory = answer["memory"]
        with pytest.raises(BackupFailed, match="from before the operation was resumed"):
            world.backup_taker.take(op, world.outputs, request=request, memory=memory)
        assert new_backups(world) == []
        assert only_snapshot(world).tags.get("camunda:backup") is None

    def test_a_pair_is_the_snapshot_and_the_first_backup_after_it(self) -> None:
        world = BackupWorld()
        op, request = operation(world), {"maxAgeHours": None}
        answer = world.backup_taker.take(op, world.outputs, request=request, memory={})
        while not new_backups(world):
            world.pass_seconds(answer["wait"])
            memory = answer["memory"]
            answer = world.backup_taker.take(op, world.outputs, request=request, memory=memory)
        first = new_backups(world)
        # Stopped here; the brokers' own schedule goes on.
        world.pass_seconds(5 * 3600)
        world.brokers.back_up()
        world.pass_seconds(600)
        memory = answer["memory"]
        answer = world.backup_taker.take(op, world.outputs, request=request, memory=memory)
        assert (answer["status"], [answer["backup"]["id"]]) == ("TAKEN", first)
        assert only_snapshot(world).tags["camunda:backup"] == str(first[0])

    @pytest.mark.parametrize(("wanted", "hours"), [({"snapshot": False}, 4), ({}, 12)])
    def test_brokers_move_on_it_while_the_execution_can_last(
        self, wanted: dict[str, Any], hours: int
    ) -> None:
        world = BackupWorld()
        answer = take(world, maxAgeHours=hours, **wanted)
        pair = [one for one in (answer["backup"]["at"], answer["backup"]["snapshotAt"]) if one]
        oldest = min(datetime.fromisoformat(one) for one in pair)
        assert datetime.fromisoformat(answer["until"]) == oldest + timedelta(hours=hours + 4)

    def test_what_is_taken_for_itself_or_waived_has_no_such_end(self) -> None:
        assert take(BackupWorld())["until"] == ""
        world = BackupWorld()
        world.inside.down = "no broker answers"
        answer = take(world, maxAgeHours=4, acceptNoBackup=True)
        assert (answer["status"], answer["until"]) == ("WAIVED", "")

    def test_a_snapshot_that_is_taken_again_is_followed_by_another_backup(self) -> None:
        """Someone deleted the first one while the brokers' backup was in progress."""
        world = BackupWorld()
        world.brokers.backup_seconds = 30
        op, request = operation(world), {"maxAgeHours": None}
        answer: dict[str, Any] = {"status": "WAITING", "memory": {}, "wait": 0}
        lost = False
        while answer["status"] == "WAITING":
            world.pass_seconds(answer["wait"])
            if 2 in world.brokers.taken and not lost:
                world.databases.taken.clear()
                lost = True
            memory = answer["memory"]
            answer = world.backup_taker.take(op, world.outputs, request=request, memory=memory)
        at = only_snapshot(world).at
        assert lost
        assert at is not None
        assert datetime.fromisoformat(answer["backup"]["at"]) >= at
        assert answer["backup"]["id"] == 3

    def test_one_that_the_schedule_has_begun_does_not_count_before_a_snapshot(self) -> None:
        world = BackupWorld()
        world.brokers.backup_seconds = 30
        world.brokers.back_up()
        assert take(world)["backup"]["id"] == 3

    def test_a_database_that_is_changed_gets_its_snapshot_afterwards(self) -> None:
        world = BackupWorld()
        world.databases.status = "backing-up"
        op = operation(world)
        request: dict[str, Any] = {"maxAgeHours": None}
        first = world.backup_taker.take(op, world.outputs, request=request, memory={})
        assert first["status"] == "WAITING"
        assert world.databases.taken == {}
        world.databases.status = "available"
        assert world.take(op, **request)["status"] == "TAKEN"

    def test_without_continuous_backup_of_the_database_a_snapshot_is_taken_unrequested(
        self,
    ) -> None:
        world = BackupWorld()
        world.databases.lag = None
        answer = take(world, snapshot=False, maxAgeHours=4)
        assert answer["backup"]["snapshot"] == only_snapshot(world).name


class TestFresh:
    def test_a_young_backup_is_enough_and_nothing_is_changed(self) -> None:
        world = BackupWorld()
        answer = take(world, snapshot=False, maxAgeHours=4)
        assert (answer["status"], answer["backup"]["id"]) == ("FRESH", 1)
        assert new_backups(world) == []
        assert world.databases.taken == {}

    def test_it_is_one_hour_old_and_older_than_half_of_that(self) -> None:
        world = BackupWorld()
        world.pass_seconds(60)
        answer = take(world, snapshot=False, maxAgeHours=1)
        assert answer["status"] == "TAKEN"

    def test_a_backup_of_fewer_partitions_is_not_enough(self) -> None:
        world = BackupWorld()
        begun, partitions = world.brokers.taken[1]
        world.brokers.taken[1] = (begun, partitions - 1)
        assert take(world, snapshot=False, maxAgeHours=4)["backup"]["id"] == 2

    def test_with_a_snapshot_the_pair_has_to_be_young(self) -> None:
        world = BackupWorld()
        first = take(world, maxAgeHours=4)
        assert first["status"] == "TAKEN"
        again = take(world, maxAgeHours=4)
        assert again["status"] == "FRESH"
        assert again["backup"]["snapshot"] == first["backup"]["snapshot"]
        assert len(world.databases.taken) == 1

    def test_a_snapshot_after_the_backup_makes_no_pair(self) -> None:
        world = BackupWorld()
        take(world)
        del world.brokers.taken[2]
        assert take(world, maxAgeHours=4)["status"] == "TAKEN"

    def test_a_snapshot_of_the_database_before_a_restore_makes_no_pair(self) -> None:
        world = BackupWorld()
        first = take(world, maxAgeHours=4)
        (name,) = world.databases.taken
        world.databases.taken[name] = replace(world.databases.taken[name], former=True)
        again = take(world, maxAgeHours=4)
        assert (first["status"], again["status"]) == ("TAKEN", "TAKEN")
        assert again["backup"]["snapshot"] != name

    def test_a_backup_of_what_a_restore_has_left_behind_is_none_of_the_present_data(self) -> None:
        """The store lists it all the same; the restored database can be restored to no such time.

        https://docs.camunda.io/docs/8.9/self-managed/operational-guides/backup-restore/rdbms/rdbms-backup/
        """
        world = BackupWorld()
        world.pass_seconds(600)
        world.databases.created = world.clock.now()
        answer = take(world, snapshot=False, maxAgeHours=4)
        assert (answer["status"], answer["backup"]["id"]) == ("TAKEN", 2)

    def test_a_pair_by_a_snapshot_needs_no_continuous_backup_of_the_database_before_it(
        self,
    ) -> None:
        world = BackupWorld()
        first = take(world, maxAgeHours=4)
        world.databases.days = 0
        assert take(world, maxAgeHours=4)["backup"]["id"] == first["backup"]["id"]

    @pytest.mark.parametrize("snapshot", [True, False])
    def test_a_waiver_goes_on_at_once_and_says_what_is_lacking(self, *, snapshot: bool) -> None:
        world = BackupWorld()
        world.inside.down = "nothing answers"
        answer = take(world, maxAgeHours=4, acceptNoBackup=True, snapshot=snapshot)
        assert answer["status"] == "WAIVED"
        assert "nothing answers" in answer["backup"]["reason"]
        assert answer["backup"]["id"] == 0
        assert world.databases.taken == {}

    def test_a_waiver_is_not_used_where_there_is_a_fresh_one(self) -> None:
        answer = take(BackupWorld(), maxAgeHours=4, acceptNoBackup=True, snapshot=False)
        assert answer["status"] == "FRESH"


NEXT_MINOR = "camunda/camunda:8.10.1"


class TestMinorThatAnInterruptedOperationLeft:
    """The stack has the new minor version already, and the brokers have not."""

    def test_it_needs_a_snapshot_which_no_waiver_of_a_backup_covers(self) -> None:
        world = BackupWorld(OrchestrationImage=NEXT_MINOR)
        request = {"snapshot": False, "acceptNoBackup": True, "acceptNoWayBack": False}
        answer = take(world, maxAgeHours=4, **request)
        assert answer["status"] == "TAKEN"
        assert answer["backup"]["snapshot"] == only_snapshot(world).name

    def test_the_waiver_of_the_way_back_covers_it(self) -> None:
        world = BackupWorld(OrchestrationImage=NEXT_MINOR)
        answer = take(world, maxAgeHours=4, snapshot=False, acceptNoWayBack=True)
        assert answer["status"] == "WAIVED"

    @pytest.mark.parametrize("image", ["camunda/camunda:8.9.23", "camunda/camunda:latest"])
    def test_another_patch_or_an_unknown_version_is_none(self, image: str) -> None:
        world = BackupWorld(OrchestrationImage=image)
        answer = take(world, maxAgeHours=4, snapshot=False, acceptNoWayBack=False)
        assert answer["status"] == "FRESH"

    def test_other_changes_of_such_a_cluster_have_their_own_waiver(self) -> None:
        world = BackupWorld(OrchestrationImage=NEXT_MINOR)
        world.inside.down = "nothing answers"
        answer = take(world, maxAgeHours=4, snapshot=False, acceptNoBackup=True)
        assert answer["status"] == "WAIVED"


class TestRefused:
    def test_brokers_without_a_store(self) -> None:
        world = BackupWorld()
        world.brokers.backup_seconds = None
        with pytest.raises(BackupRefused, match="no store for backups"):
            take(world)
        assert world.databases.taken == {}

    def test_brokers_that_do_not_answer_for_minutes(self) -> None:
        world = BackupWorld()
        world.inside.down = "nothing answers"
        began = world.clock.now()
        with pytest.raises(BackupRefused, match="for 2 minutes the backups could not be read"):
            take(world)
        assert timedelta(minutes=2) <= world.clock.now() - began < timedelta(minutes=4)

    def test_a_probe_that_sleeps_is_left_to_the_retries_of_the_machine(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = BackupWorld()

        def sleeps(*_: object, **__: object) -> Any:
            raise ProbeAsleep("The function inside the VPC is not connected yet.")

        monkeypatch.setattr(world.inside, "query", sleeps)
        with pytest.raises(ProbeAsleep):
            take(world)

    def test_a_database_that_cannot_be_read(self) -> None:
        world = BackupWorld()
        world.databases.problem = "RDS does not answer."
        with pytest.raises(BackupRefused, match="the database could not be read: RDS does not"):
            take(world)

    def test_a_database_that_is_gone(self) -> None:
        world = BackupWorld(DatabaseClusterId="database-2")
        with pytest.raises(BackupRefused, match="does not exist"):
            take(world)

    def test_a_snapshot_of_a_cluster_without_a_database(self) -> None:
        world = BackupWorld(DatabaseClusterId="")
        with pytest.raises(BackupRefused, match="names no database"):
            take(world)

    def test_while_partitions_are_added_nothing_is_begun(self) -> None:
        world = BackupWorld()
        world.cluster.step_seconds = 10_000
        world.brokers.scale_partitions(6)
        with pytest.raises(BackupRefused, match="partitions are being added"):
            take(world)
        assert world.databases.taken == {}

    def test_after_partitions_were_added_it_is_taken(self) -> None:
        world = BackupWorld()
        world.cluster.step_seconds = 5
        world.brokers.scale_partitions(4)
        answer = take(world)
        assert answer["backup"]["partitions"] == 4


class TestFailed:
    def test_a_snapshot_that_fails_is_named_and_the_brokers_begin_nothing(self) -> None:
        world = BackupWorld()
        world.databases.ends = "failed"
        with pytest.raises(BackupFailed, match=r"snapshot database-1-backup-\d+ is failed"):
            take(world)
        assert new_backups(world) == []

    def test_a_backup_without_progress_names_its_partitions(self) -> None:
        world = BackupWorld()
        world.brokers.backup_seconds = 100_000
        with pytest.raises(BackupFailed, match="partition 3 is IN_PROGRESS") as caught:
            take(world)
        assert f"Snapshot {only_snapshot(world).name} is kept" in caught.value.message
        assert "Backups of the brokers since it began: 2" in caught.value.message

    def test_a_partition_that_failed_is_named_with_its_reason(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = BackupWorld()
        real = world.brokers.list_backups

        def failed() -> BackupsSeen:
            seen = real()
            made = [_failed(one) if one.id > 1 else one for one in seen.backups]
            return replace(seen, backups=tuple(made))

        monkeypatch.setattr(world.brokers, "list_backups", failed)
        with pytest.raises(BackupFailed, match="partition 2 is FAILED: disk full"):
            take(world)

    def test_brokers_that_take_none_are_quoted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = BackupWorld()

        def busy(_: int | None = None) -> int:
            from lifecycle.errors import ChangeInProgress

            raise ChangeInProgress("A broker answered HTTP 409: Cannot take backup now.")

        monkeypatch.setattr(world.brokers, "back_up", busy)
        with pytest.raises(BackupFailed, match="HTTP 409: Cannot take backup now"):
            take(world)
        # The snapshot is kept, and named.
        assert len(world.databases.taken) == 1


def _failed(backup: PrimaryBackup) -> PrimaryBackup:
    parts = [
        replace(one, state="FAILED", reason="disk full") if one.partition == 2 else one
        for one in backup.parts
    ]
    return replace(backup, state="FAILED", parts=tuple(parts))


class TestName:
    def test_it_is_the_operations_and_within_what_rds_takes(self) -> None:
        at = datetime(2026, 3, 1, tzinfo=UTC)
        assert snapshot_name("database-1", at) == "database-1-backup-1772323200000"
        long = snapshot_name("d" * 41 + "-" + "e" * 21, at)
        assert len(long) <= 63
        assert "--" not in long


class TestRead:
    def test_what_is_written_is_read_again(self) -> None:
        world = BackupWorld()
        world.brokers.back_up()
        seen = replace(world.brokers.list_backups(), partitions=3)
        assert read_backups(backups_payload(seen)) == seen

    def test_of_many_backups_the_older_ones_are_ids_and_what_is_wanted_is_whole(self) -> None:
        world = BackupWorld()
        taken = world.brokers.taken
        taken |= dict.fromkeys(range(2, MOST_LISTED + 4), taken[1])
        seen = replace(world.brokers.list_backups(), partitions=3)
        found = read_backups(backups_payload(seen, also=[2]))
        assert len(found.backups) == MOST_LISTED + 1
        assert found.backups[-1] == seen.backups[-2]
        assert found.older == (1, 3)
        assert found.ids == set(taken)

    def test_a_part_without_a_time_leaves_the_whole_without_one(self) -> None:
        details = [
            {"partitionId": 1, "state": "COMPLETED", "createdAt": "2026-03-01T00:00:00Z"},
            {"partitionId": 2, "state": "DOES_NOT_EXIST"},
        ]
        (found,) = read_backup_list([{"backupId": "7", "state": "INCOMPLETE", "details": details}])
        assert (found.id, found.at, found.ended) == (7, None, 1)
        assert found.missing() == "partition 2 is DOES_NOT_EXIST"

    @pytest.mark.parametrize("payload", [None, {}, [{"backupId": 1}], [{"state": "COMPLETED"}]])
    def test_what_has_another_shape_is_refused(self, payload: object) -> None:
        with pytest.raises(InvalidResponse):
            read_backup_list(payload)
