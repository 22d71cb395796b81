"""The backup machine's real definition, on brokers and a database in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.backup.ports import SnapshotSeen
from lifecycle.camunda.backups import MOST_LISTED
from lifecycle.cluster.freeze import TAG_FROZEN
from lifecycle.errors import AwsUnavailable
from lifecycle.operation.model import Operation

from tests.statemachines.engine import Control, run
from tests.support.backup import BackupWorld, backup_functions

if TYPE_CHECKING:
    from tests.support.definitions import Function, Result

FUNCTIONS = tuple(backup_functions(BackupWorld()))


class Backing:
    """The backup machine on a running cluster in memory; every wait lets its time pass."""

    definition = "backup"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = BackupWorld()
        self.monkeypatch = monkeypatch
        self.control = Control()
        self.began: dict[int, datetime] = {}
        self.functions = backup_functions(self.world)

    def run(self, number: int = 1, **asked: Any) -> Result:
        # A redrive keeps the start of its execution.
        at = self.began.setdefault(number, self.world.clock.now())

        def started(name: str) -> Function:
            def called(event: dict[str, Any]) -> Any:
                if "operation" in event:
                    event["operation"]["startedAt"] = at.isoformat()
                return self.functions[name](event)

            return called

        return run(
            "backup",
            {name: started(name) for name in self.functions},
            {"clusterName": "demo", "action": "take", **asked},
            monkeypatch=self.monkeypatch,
            on_wait=self.world.pass_seconds,
            name=f"demo.backup.{number}",
            control=self.control,
        )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Backing:
    return Backing(monkeypatch)


def cause_of(result: Result) -> str:
    return str(json.loads(str(result.cause))["cause"])


def taken(machine: Backing, number: int = 1) -> int:
    result = machine.run(number)
    assert result.status == "SUCCEEDED", result.cause
    return int(result.output["backup"]["id"])


def test_a_backup_is_taken_reported_and_changes_no_task(machine: Backing) -> None:
    world = machine.world
    tasks = set(world.tasks.tasks)
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    backup = result.output["backup"]
    assert (backup["id"], backup["state"], backup["partitions"]) == (2, "COMPLETED", 3)
    assert backup["snapshot"] in world.databases.taken
    assert (result.output["deleted"], result.output["problem"]) == ([], "")
    assert set(world.tasks.tasks) == tasks
    assert world.table.locks == {}
    (page,) = [body for key, body in world.artifacts.objects.items() if key.endswith(".html")]
    assert backup["snapshot"] in page.decode()


def test_a_dry_run_changes_nothing(machine: Backing) -> None:
    result = machine.run(dryRun=True)
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls == ["ValidateBackup"]
    assert machine.world.databases.taken == {}


def other_operation(machine: Backing) -> Operation:
    """An operation that holds the cluster and runs."""
    made = Operation(
        operation_id="demo.scale.1",
        execution_arn="arn:execution:demo:scale:1",
        cluster="demo",
        machine="scale",
        started_at=machine.world.clock.now().isoformat(),
        ecs_cluster="control-demo",
    )
    machine.world.journal.begin(made)
    return made


SCHEDULED: dict[str, Any] = {"scheduledAt": "2026-03-01T02:30:00Z"}


class TestScheduled:
    def test_a_schedule_takes_one(self, machine: Backing) -> None:
        result = machine.run(**SCHEDULED)
        assert result.status == "SUCCEEDED", result.cause
        assert result.output["backup"]["id"] == 2

    def test_while_another_operation_holds_the_cluster_it_is_left_out(
        self, machine: Backing
    ) -> None:
        other = other_operation(machine)
        result = machine.run(**SCHEDULED)
        assert result.status == "SUCCEEDED", result.cause
        assert result.output["skipped"]["error"] == "ClusterBusy"
        assert other.operation_id in result.output["skipped"]["cause"]
        assert machine.world.databases.taken == {}
        assert set(machine.world.brokers.taken) == {1}
        (lock,) = machine.world.table.locks.values()
        assert lock.owner == other.execution_arn
        # By a person it is refused.
        assert machine.run(2).error == "ClusterBusy"

    def test_a_frozen_cluster_is_left_out(self, machine: Backing) -> None:
        stack = machine.world.stacks.stack
        assert stack is not None
        machine.world.stacks.stack = replace(stack, tags={**stack.tags, TAG_FROZEN: "audit"})
        result = machine.run(**SCHEDULED)
        assert (result.status, result.calls) == ("SUCCEEDED", ["ValidateBackup"])
        assert result.output["skipped"]["error"] == "ClusterFrozen"

    def test_so_is_one_whose_stack_is_being_changed(self, machine: Backing) -> None:
        stack = machine.world.stacks.stack
        assert stack is not None
        machine.world.stacks.stack = replace(stack, status="UPDATE_IN_PROGRESS")
        assert machine.run(**SCHEDULED).output["skipped"]["error"] == "StackNotUsable"
        assert machine.run(2).error == "StackNotUsable"

    def test_what_fails_fails_also_by_schedule(self, machine: Backing) -> None:
        machine.world.brokers.backup_seconds = None
        assert machine.run(**SCHEDULED).error == "BackupRefused"

    def test_only_a_cluster_that_is_there_is_backed_up(self, machine: Backing) -> None:
        machine.world.stacks.stack = None
        assert machine.run(**SCHEDULED).error == "ClusterNotFound"

    @pytest.mark.parametrize("given", ["", "tomorrow", 1, None, "2026-03-01"])
    def test_its_time_is_the_schedules(self, machine: Backing, given: Any) -> None:
        assert machine.run(scheduledAt=given).error == "InvalidRequest"

    def test_a_schedule_deletes_nothing(self, machine: Backing) -> None:
        result = machine.run(action="delete", backup=1, confirm="demo", **SCHEDULED)
        assert result.error == "InvalidRequest"


@pytest.mark.parametrize("asked", [{"action": "keep"}, {"backup": 7}, {"confirm": "demo"}])
def test_a_wrong_request_is_refused_before_anything(machine: Backing, asked: Any) -> None:
    result = machine.run(**asked)
    assert (result.status, result.error) == ("FAILED", "InvalidRequest")
    assert result.calls == ["ValidateBackup"]


def test_a_frozen_cluster_is_refused(machine: Backing) -> None:
    stack = machine.world.stacks.stack
    assert stack is not None
    machine.world.stacks.stack = replace(stack, tags={**stack.tags, TAG_FROZEN: "audit"})
    assert machine.run().error == "ClusterFrozen"


def test_brokers_without_a_store_are_named(machine: Backing) -> None:
    machine.world.brokers.backup_seconds = None
    result = machine.run()
    assert (result.status, result.error) == ("FAILED", "BackupRefused")
    assert "no store for backups" in cause_of(result)
    assert machine.world.table.locks == {}


def test_an_older_backup_is_deleted_with_its_snapshot_and_no_other(machine: Backing) -> None:
    world = machine.world
    old, new = taken(machine, 1), taken(machine, 2)
    kept = {name for name, one in world.databases.taken.items() if str(new) in one.tags.values()}
    result = machine.run(3, action="delete", backup=old, confirm="demo")
    assert result.status == "SUCCEEDED", result.cause
    assert old not in world.brokers.taken
    assert new in world.brokers.taken
    assert set(world.databases.taken) == kept
    assert result.output["deleted"][0] == f"backup {old}"
    assert len(result.output["deleted"]) == 2
    assert result.output["backup"] == {}


def crowd(machine: Backing) -> None:
    """Let the schedule make more backups than the brokers' answer has in full."""
    brokers = machine.world.brokers
    begun, partitions = brokers.taken[max(brokers.taken)]
    first = max(brokers.taken) + 100
    brokers.taken |= dict.fromkeys(range(first, first + MOST_LISTED + 1), (begun, partitions))


def test_a_backup_that_many_others_follow_is_deleted_with_its_snapshot(machine: Backing) -> None:
    world = machine.world
    old = taken(machine)
    crowd(machine)
    result = machine.run(2, action="delete", backup=old, confirm="demo")
    assert result.status == "SUCCEEDED", result.cause
    assert old not in world.brokers.taken
    assert world.databases.taken == {}


def test_a_backup_without_a_snapshot_that_many_others_follow_is_deleted(machine: Backing) -> None:
    crowd(machine)
    result = machine.run(1, action="delete", backup=1, confirm="demo")
    assert result.status == "SUCCEEDED", result.cause
    assert 1 not in machine.world.brokers.taken


def test_the_newest_completed_backup_is_kept(machine: Backing) -> None:
    new = taken(machine)
    result = machine.run(2, action="delete", backup=new, confirm="demo")
    assert result.error == "BackupRefused"
    assert "newest completed" in cause_of(result)
    assert new in machine.world.brokers.taken


def test_a_backup_that_is_not_there_is_refused(machine: Backing) -> None:
    result = machine.run(1, action="delete", backup=77, confirm="demo")
    assert result.error == "BackupRefused"
    assert "neither the brokers nor a snapshot" in cause_of(result)


def test_the_snapshot_that_the_database_was_restored_from_is_kept(machine: Backing) -> None:
    world = machine.world
    old = taken(machine, 1)
    taken(machine, 2)
    (origin,) = (
        name for name, one in world.databases.taken.items() if str(old) in one.tags.values()
    )
    world.declare(DatabaseSnapshot=origin)
    result = machine.run(3, action="delete", backup=old, confirm="demo")
    assert result.error == "BackupRefused"
    assert f"the database was restored from its snapshot {origin}" in cause_of(result)
    assert old in world.brokers.taken


def of_an_earlier_cluster(machine: Backing, backup: int) -> str:
    """Put a snapshot there whose database was created before the stack."""
    world, name = machine.world, "control-demo-earlier-backup"
    stack = world.stacks.stack
    assert stack is not None
    world.databases.taken[name] = SnapshotSeen(
        name,
        "available",
        world.clock.now() - timedelta(days=40),
        manual=True,
        tags={"camunda:purpose": "backup", "camunda:backup": str(backup), **stack.tags},
        former=True,
        created=datetime.fromisoformat(stack.created_at) - timedelta(days=60),
    )
    return name


def test_a_snapshot_of_an_earlier_cluster_with_that_id_stays_and_is_named(machine: Backing) -> None:
    world = machine.world
    old = taken(machine, 1)
    taken(machine, 2)
    (own,) = (name for name, one in world.databases.taken.items() if str(old) in one.tags.values())
    name = of_an_earlier_cluster(machine, old)
    result = machine.run(3, action="delete", backup=old, confirm="demo")
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["deleted"] == [f"backup {old}", f"snapshot {own}"]
    assert name in result.output["problem"]
    assert name in world.databases.taken


def test_an_id_that_only_an_earlier_cluster_has_is_refused(machine: Backing) -> None:
    taken(machine, 1)
    name = of_an_earlier_cluster(machine, 77)
    result = machine.run(2, action="delete", backup=77, confirm="demo")
    assert result.error == "BackupRefused"
    assert "is not the cluster's" in cause_of(result)
    assert name in cause_of(result)
    assert name in machine.world.databases.taken


def test_a_backup_whose_earlier_snapshot_the_database_was_made_of_is_kept(machine: Backing) -> None:
    """A cluster that `from` has made of its own name has copies of that one's backups."""
    world = machine.world
    old = taken(machine, 1)
    taken(machine, 2)
    world.declare(DatabaseSnapshot=of_an_earlier_cluster(machine, old))
    result = machine.run(3, action="delete", backup=old, confirm="demo")
    assert result.error == "BackupRefused"
    assert "the database was restored from its snapshot" in cause_of(result)
    assert old in world.brokers.taken


def test_without_the_name_typed_again_nothing_is_deleted(machine: Backing) -> None:
    old = taken(machine, 1)
    taken(machine, 2)
    result = machine.run(3, action="delete", backup=old, confirm="other")
    assert result.error == "InvalidRequest"
    assert old in machine.world.brokers.taken


def test_brokers_that_do_not_delete_are_quoted_and_the_snapshot_stays(
    machine: Backing, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = machine.world
    old = taken(machine, 1)
    taken(machine, 2)

    def refuses(_: int) -> None:
        raise AwsUnavailable("10.0.0.10 answered HTTP 504.")

    monkeypatch.setattr(world.brokers, "delete_backup", refuses)
    result = machine.run(3, action="delete", backup=old, confirm="demo")
    assert result.error == "BackupFailed"
    assert "HTTP 504" in cause_of(result)
    assert len(world.databases.taken) == 2


class TestRetention:
    def aged(self, machine: Backing, days: int, *, gone: bool) -> str:
        """Take a backup, and let its snapshot be that old and its part of the brokers gone."""
        world = machine.world
        backup = taken(machine, 1)
        (name,) = world.databases.taken
        one = world.databases.taken[name]
        at = world.clock.now() - timedelta(days=days)
        world.databases.taken[name] = replace(one, status="available", at=at)
        if gone:
            world.brokers.delete_backup(backup)
        return name

    @pytest.mark.parametrize(
        ("days", "gone", "deleted"), [(8, True, True), (8, False, False), (6, True, False)]
    )
    def test_a_snapshot_goes_when_it_is_old_and_its_backup_is_gone(
        self, machine: Backing, days: int, *, gone: bool, deleted: bool
    ) -> None:
        name = self.aged(machine, days, gone=gone)
        result = machine.run(2)
        assert result.status == "SUCCEEDED", result.cause
        assert (name not in machine.world.databases.taken) is deleted
        assert result.output["deleted"] == ([f"snapshot {name}"] if deleted else [])

    @pytest.mark.parametrize(("gone", "deleted"), [(True, True), (False, False)])
    def test_also_where_the_schedule_has_made_more_backups_than_one_answer_carries(
        self, machine: Backing, *, gone: bool, deleted: bool
    ) -> None:
        name = self.aged(machine, 8, gone=gone)
        crowd(machine)
        result = machine.run(2)
        assert result.status == "SUCCEEDED", result.cause
        assert (name not in machine.world.databases.taken) is deleted

    def test_the_snapshot_that_the_database_was_made_of_stays(self, machine: Backing) -> None:
        name = self.aged(machine, 8, gone=True)
        machine.world.declare(**{**machine.world.outputs, "DatabaseSnapshot": name})
        assert machine.run(2).status == "SUCCEEDED"
        assert name in machine.world.databases.taken

    @pytest.mark.parametrize(
        ("days", "origin", "deleted"), [(8, False, True), (6, False, False), (8, True, False)]
    )
    def test_a_snapshot_of_a_restores_copy_goes_when_it_is_old_unless_the_stack_names_it(
        self, machine: Backing, days: int, *, origin: bool, deleted: bool
    ) -> None:
        world, name = machine.world, "control-demo-restore-1-0a1b2c3d"
        backup = taken(machine, 1)
        world.databases.taken[name] = SnapshotSeen(
            name,
            "available",
            world.clock.now() - timedelta(days=days),
            manual=True,
            # The brokers' backup that it was made for is there.
            tags={"camunda:purpose": "restore", "camunda:backup": str(backup)},
            created=world.clock.now() - timedelta(days=days),
        )
        if origin:
            world.declare(DatabaseSnapshot=name)
        result = machine.run(2)
        assert result.status == "SUCCEEDED", result.cause
        assert (name not in world.databases.taken) is deleted

    @pytest.mark.parametrize("purpose", ["backup", "restore"])
    @pytest.mark.parametrize("of", ["an earlier cluster", "unknown", "a former database"])
    def test_only_snapshots_of_this_clusters_databases_are_deleted(
        self, machine: Backing, purpose: str, of: str
    ) -> None:
        """One of a cluster that was torn down has the same tags, and is the only way back to it."""
        world, name = machine.world, "control-demo-earlier-backup"
        stack = world.stacks.stack
        assert stack is not None
        made = datetime.fromisoformat(stack.created_at)
        created = {
            "an earlier cluster": made - timedelta(seconds=1),
            "unknown": None,
            "a former database": made + timedelta(seconds=1),
        }
        world.databases.taken[name] = SnapshotSeen(
            name,
            "available",
            world.clock.now() - timedelta(days=20),
            manual=True,
            tags={"camunda:purpose": purpose, "camunda:backup": "77", **stack.tags},
            former=True,
            created=created[of],
        )
        result = machine.run(2)
        assert result.status == "SUCCEEDED", result.cause
        assert (name in world.databases.taken) is (of != "a former database")
        assert result.output["problem"] == ""

    def test_without_the_time_of_the_stack_nothing_is_deleted(self, machine: Backing) -> None:
        name = self.aged(machine, 8, gone=True)
        stack = machine.world.stacks.stack
        assert stack is not None
        machine.world.stacks.stack = replace(stack, created_at="")
        assert machine.run(2).status == "SUCCEEDED"
        assert name in machine.world.databases.taken

    def test_what_cannot_be_deleted_is_reported_and_the_backup_stands(
        self, machine: Backing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.aged(machine, 8, gone=True)

        def refuses(_: str) -> None:
            raise AwsUnavailable("Snapshot x cannot be deleted now.")

        monkeypatch.setattr(machine.world.databases, "delete", refuses)
        result = machine.run(2)
        assert result.status == "SUCCEEDED", result.cause
        assert result.output["problem"] == "Snapshot x cannot be deleted now"
