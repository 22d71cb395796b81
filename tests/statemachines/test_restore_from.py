"""The restore machine's real definition, where it makes a new cluster of another one's backups."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from lifecycle.restore.facts import Checkpoint, SnapshotFound
from lifecycle.times import written

from tests.statemachines.test_restore import Restore
from tests.support.restore import PASSWORD
from tests.support.world import CONTROL

BUCKET = "control-old-backupbucket-1"
SIZE = {"Brokers": 3, "Partitions": 3, "ReplicationFactor": 3}
GIVEN = {**SIZE, "AcceptPlaintext": True}
STEPS = ["CopyBackups", "RestoreBrokers", "StartServices"]


class NewCluster(Restore):
    """The restore machine on what a cluster that was torn down has left."""

    given: ClassVar = {**Restore.given, "from": "old", "parameters": GIVEN}

    def prepare(self) -> None:
        self.world.with_kept()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> NewCluster:
    return NewCluster(monkeypatch)


def settled(machine: NewCluster) -> None:
    """The new cluster runs on the restored data, with copies of the backups."""
    world = machine.world
    assert world.present["DataGeneration"] == "2"
    assert world.present["DatabaseSnapshot"] == "control-old-backup"
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert world.restore_tasks.nodes == {"node-ids-2": 3}
    assert world.restore_tasks.most_at_once <= 3
    assert world.restored.passwords[world.present["DatabaseClusterId"]] == PASSWORD
    source = world.backup_buckets.contents(BUCKET)
    assert source.items() <= world.backup_buckets.contents("backups").items()
    assert len(source) == 3
    assert world.user_secrets.copied == {
        "arn:secret:admin": "arn:secret:old-admin",
        "arn:secret:connectors": "arn:secret:old-connectors",
    }
    assert world.table.locks == {}


def test_a_cluster_that_was_torn_down_comes_back_under_another_name(machine: NewCluster) -> None:
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    settled(machine)
    world = machine.world
    assert result.output["restored"]["backup"] == 99
    environments = {
        one["ZEEBE_RESTORE_TO_TIMESTAMP"] for one in world.restore_tasks.environments.values()
    }
    assert environments == {result.output["restored"]["at"]}
    calls = [
        one for one in result.calls if one in {"CopyBackups", "RestoreBrokers", "StartServices"}
    ]
    assert calls == sorted(calls, key=["CopyBackups", "RestoreBrokers", "StartServices"].index)
    assert result.calls.index("PreflightCluster") < result.calls.index("RestoreDatabase")


def test_the_source_is_only_read(machine: NewCluster) -> None:
    before = len(machine.world.backup_buckets.writes)
    assert machine.run().status == "SUCCEEDED"
    assert BUCKET not in machine.world.backup_buckets.writes[before:]


def test_a_dry_run_makes_nothing_and_tells_everything(machine: NewCluster) -> None:
    result = machine.run(dryRun=True, confirm="demo")
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls == ["ValidateRestore"]
    plan = result.output["plan"]
    assert plan["backup"] == 99
    assert plan["database"]["snapshot"] == "control-old-backup"
    assert BUCKET in plan["copies"]
    assert plan["creates"]["parameters"]["Partitions"] == "3"
    assert plan["stops"] == "Nothing stops."
    assert "until old was torn down" in plan["lost"]["text"]
    assert any("connectors start" in one for one in plan["warnings"])
    assert machine.world.stacks.stacks == {}


def test_the_size_of_a_cluster_that_is_gone_has_to_be_given(machine: NewCluster) -> None:
    result = machine.run(parameters={"AcceptPlaintext": True})
    assert result.error == "InvalidRequest"
    cause = json.loads(result.cause)["cause"]
    for name in SIZE:
        assert f"parameters.{name}" in cause
    assert "which is 3 in its backups" in cause
    assert machine.world.stacks.stacks == {}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"from": "never"}, "ClusterNotFound", "from is never"),
        ({"from": "Not A Name"}, "InvalidRequest", "from"),
        ({"backup": 7}, "RestoreRefused", "backup is 7"),
        ({"parameters": {**GIVEN, "Partitions": 4}}, "RestoreRefused", "it has 3 partitions"),
        ({"parameters": {**GIVEN, "Brokerz": 4}}, "InvalidRequest", "parameters.Brokerz"),
        ({"parameters": {**GIVEN, "DataGeneration": 4}}, "InvalidRequest", "DataGeneration"),
        ({"parameters": 4}, "InvalidRequest", "a JSON object"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(
    machine: NewCluster, given: dict[str, Any], error: str, says: str
) -> None:
    result = machine.run(**given)
    assert result.error == error, result.cause
    cause = json.loads(result.cause)
    assert says in cause["cause"]
    assert cause["currentState"] == "Nothing was changed."
    assert machine.world.stacks.stacks == {}
    assert result.calls == ["ValidateRestore"]


def test_the_number_of_before_partitions_were_added_is_not_restored_unasked(
    machine: NewCluster,
) -> None:
    """With the number that its stack was made with, a cluster that is gone would lose hours."""
    world = machine.world
    world.with_partitions_added(BUCKET)
    older = world.stored.by_bucket[BUCKET][3]
    world.restored.taken["older"] = SnapshotFound("older", older.at - timedelta(minutes=1), 96)
    world.restored.snapshots["older"] = world.restored.snapshots["control-old-backup"]
    world.restored.contents["older"] = older.at
    unnamed: tuple[dict[str, Any], ...] = ({}, {"to": written(world.clock.now())})
    for given in unnamed:
        result = machine.run(**given)
        assert result.error == "RestoreRefused"
        cause = json.loads(result.cause)
        assert "parameters.Partitions is 3" in cause["cause"]
        assert "backup 99 of " in cause["cause"]
        assert "has 6" in cause["cause"]
        assert "Give 6" in cause["nextStep"]
        assert world.stacks.stacks == {}
    # The backup that is meant, or a moment before that, is restored.
    at = written(older.at + timedelta(minutes=1))
    plan = machine.run(dryRun=True, to=at).output["plan"]
    assert (plan["backup"], plan["partitions"]) == (96, 3)
    plan = machine.run(dryRun=True, backup=96).output["plan"]
    assert (plan["backup"], plan["partitions"]) == (96, 3)
    result = machine.run(parameters={**GIVEN, "Partitions": 6})
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["restored"]["backup"] == 99
    assert world.stacks.stacks[f"{CONTROL}-demo"].parameters["Partitions"] == "6"


def test_a_cluster_that_exists_is_not_restored_from_another(machine: NewCluster) -> None:
    assert machine.run().status == "SUCCEEDED"
    world = machine.world
    world.stored.by_bucket[BUCKET].append(
        Checkpoint(200, world.clock.now() - timedelta(minutes=1), 3, (8, 9, 22))
    )
    world.restored.taken["newer"] = SnapshotFound(
        "newer", world.clock.now() - timedelta(minutes=2), 200
    )
    world.restored.snapshots["newer"] = world.restored.snapshots["control-old-backup"]
    result = machine.run(2, backup=200)
    assert result.error == "RestoreRefused"
    assert "Cluster demo exists" in json.loads(result.cause)["cause"]


def test_the_same_request_again_changes_nothing(machine: NewCluster) -> None:
    assert machine.run().status == "SUCCEEDED"
    machine.world.user_secrets.copied.clear()
    tasks = len(machine.world.restore_tasks.tasks)
    again = machine.run(2, backup=99)
    assert again.status == "SUCCEEDED", again.cause
    assert "CopyBackups" not in again.calls
    # A password that was rotated meanwhile stays.
    assert machine.world.user_secrets.copied == {}
    assert len(machine.world.restore_tasks.tasks) == tasks


def test_a_broker_that_cannot_be_restored_is_restored_by_the_same_request(
    machine: NewCluster,
) -> None:
    machine.world.restore_tasks.exits = [1]
    result = machine.run(backup=99)
    assert result.error == "RestoreFailed"
    assert set(machine.world.desired.values()) <= {0}
    again = machine.run(2, backup=99)
    assert again.status == "SUCCEEDED", again.cause
    settled(machine)


def test_a_creation_that_fails_is_continued_by_the_same_request(machine: NewCluster) -> None:
    world = machine.world
    real = world.stacks.finish
    world.stacks.finish = lambda **_: real(  # type: ignore[method-assign]
        failing="Database", reason="no capacity"
    )
    assert machine.run(backup=99).error == "StackFailed"
    world.stacks.finish = real  # type: ignore[method-assign]
    again = machine.run(2, backup=99)
    assert again.status == "SUCCEEDED", again.cause
    settled(machine)


def test_without_the_password_of_a_user_no_broker_is_restored(machine: NewCluster) -> None:
    machine.world.user_secrets.found = []
    result = machine.run(backup=99)
    assert result.error == "RestoreFailed"
    assert "user admin of old" in json.loads(result.cause)["cause"]
    assert machine.world.restore_tasks.tasks == {}


def test_two_people(machine: NewCluster) -> None:
    machine.world.two_people_for = frozenset({"restore"})
    result = machine.run(backup=99)
    assert result.error == "SecondApproverRequired"
    assert machine.world.stacks.stacks == {}


def test_a_moment(machine: NewCluster) -> None:
    at = machine.world.restored.taken["control-old-backup"].at + timedelta(minutes=5)
    result = machine.run(to=written(at))
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["restored"]["backup"] == 99


def test_a_stack_of_another_control_plane_is_left_alone(machine: NewCluster) -> None:
    assert machine.run().status == "SUCCEEDED"
    stacks = machine.world.stacks.stacks
    stacks[f"{CONTROL}-demo"] = replace(stacks[f"{CONTROL}-demo"], tags={})
    assert machine.run(2).error == "StackNotUsable"
