"""What restores have replaced is deleted on request: the backup machine's real definition."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from camunda_ecs import show
from lifecycle.backup import former as former_data
from lifecycle.cluster.former_data import DatabaseBeside
from lifecycle.errors import FormerDataNotDeleted
from lifecycle.operation.model import Operation
from lifecycle.operation.record import Stored
from rich.console import Console

from tests.statemachines.test_backup import Backing, cause_of, other_operation

if TYPE_CHECKING:
    from tests.support.definitions import Result

PRESENT = "database-1"
FORMER = "database-0"
COPY = "copy-1"
LEASES = "bucket-former"


class DeletingFormerData(Backing):
    """A cluster that was restored ten days ago: a former database, a copy, a bucket of leases."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        world = self.world
        now = world.clock.now()
        world.declare(DataGeneration="2", NodeIdBucketName="bucket-nodes")
        stack = world.stacks.stack
        assert stack is not None
        world.stacks.stack = replace(stack, outputs=world.outputs)
        world.databases.created = now - timedelta(days=10)
        made = now - timedelta(days=90)
        world.former.beside = {
            one.name: one
            for one in (
                DatabaseBeside(PRESENT, "available", world.databases.created, instances=2),
                DatabaseBeside(FORMER, "available", made),
                DatabaseBeside(COPY, "available", now - timedelta(days=10, hours=1), copy=True),
            )
        }
        world.former.buckets = ["bucket-nodes", LEASES]
        world.storage.objects = {LEASES: 3}
        world.sizes.of_volume = 10_737_418_240

    def run(self, number: int = 1, **asked: Any) -> Result:
        world = self.world
        passes = world.pass_seconds

        def passing(seconds: float) -> None:
            passes(seconds)
            world.former.advance()

        world.pass_seconds = passing  # type: ignore[method-assign]
        given = {"action": "delete-former-data", "confirm": "demo", **asked}
        if given.get("confirm") is None:
            given.pop("confirm")
        try:
            return super().run(number, **given)
        finally:
            world.pass_seconds = passes  # type: ignore[method-assign]

    def restored(self, result: str, *, machine: str = "restore", number: int = 0) -> None:
        """Record an operation that changed the cluster some days ago."""
        at = self.world.clock.now() - timedelta(days=9 - number)
        made = Operation(
            operation_id=f"demo.{machine}.{number}",
            execution_arn=f"arn:execution:demo:{machine}:{number}",
            cluster="demo",
            machine=machine,
            started_at=at.isoformat(),
            ecs_cluster="control-demo",
        )
        table = self.world.table
        table.begin(made, now=at)
        table.watch_changes(made)
        table.begin_change(made, now=at)
        if result:
            table.end(made, result=result, report=Stored(""), now=at)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> DeletingFormerData:
    return DeletingFormerData(monkeypatch)


def untouched(machine: DeletingFormerData) -> bool:
    former = machine.world.former
    return (
        {PRESENT, FORMER, COPY} <= set(former.beside)
        and all(one.status != "deleting" for one in former.beside.values())
        and former.snapshots == {}
        and former.buckets == ["bucket-nodes", LEASES]
        and machine.world.storage.objects == {LEASES: 3}
    )


def test_a_dry_run_lists_exactly_what_would_go_with_its_bytes(machine: DeletingFormerData) -> None:
    result = machine.run(confirm=None, dryRun=True)
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls == ["ValidateBackup"]
    plan = result.output["plan"]
    (database,) = plan["databases"]
    assert (database["name"], database["bytes"]) == (FORMER, 10_737_418_240)
    assert database["finalSnapshot"] is True
    assert [one["name"] for one in plan["copies"]] == [COPY]
    assert [one["name"] for one in plan["buckets"]] == [LEASES]
    assert (plan["present"], plan["kept"]) == (PRESENT, [])
    assert f"former database {FORMER}, replaced" in plan["text"]
    assert "10737418240 bytes, after a final snapshot" in plan["text"]
    assert untouched(machine)


def test_all_of_it_is_deleted_and_followed_until_it_is_gone(machine: DeletingFormerData) -> None:
    machine.restored("SUCCEEDED")
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    former = machine.world.former
    assert list(former.beside) == [PRESENT]
    assert former.beside[PRESENT].status == "available"
    assert former.snapshots[FORMER].startswith(f"{FORMER}-final-")
    assert former.snapshots == {FORMER: former.snapshots[FORMER], COPY: ""}
    assert former.buckets == ["bucket-nodes"]
    assert machine.world.storage.objects[LEASES] == 0
    assert result.output["deleted"] == [
        f"database {FORMER}, whose final snapshot is {former.snapshots[FORMER]}",
        f"database {COPY}",
        f"bucket {LEASES}",
    ]
    assert machine.world.table.locks == {}
    assert machine.world.databases.taken == {}
    assert result.calls.index("VerifyCluster") < result.calls.index("DeleteFormerData")
    console = Console(width=2000, record=True, file=io.StringIO())
    for part in show.deleted({"kind": "backup", "result": result.output}):
        console.print(part)
    assert all(one in console.export_text(clear=False) for one in result.output["deleted"])


def test_the_same_request_again_finds_nothing_and_changes_nothing(
    machine: DeletingFormerData,
) -> None:
    machine.run()
    before = dict(machine.world.former.snapshots)
    result = machine.run(2)
    assert result.status == "SUCCEEDED", result.cause
    assert (result.output["deleted"], result.output["problem"]) == ([], "")
    assert machine.world.former.snapshots == before
    assert list(machine.world.former.beside) == [PRESENT]
    shown = machine.run(3, dryRun=True)
    assert "There is no former data to delete." in shown.output["plan"]["text"]


def test_the_longest_names_have_room_for_final_snapshots_that_differ(
    machine: DeletingFormerData,
) -> None:
    """CloudFormation's identifiers of Aurora clusters have up to 63 characters and differ last."""
    former = machine.world.former
    names = [f"control-demo-{'x' * 37}-{one * 12}" for one in "ab"]
    assert {len(one) for one in names} == {63}
    one = former.beside.pop(FORMER)
    former.beside |= {name: replace(one, name=name) for name in names}
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert set(former.beside) == {PRESENT}
    final = [former.snapshots[name] for name in names]
    assert len(set(final)) == len(names)
    for name, snapshot in zip(names, final, strict=True):
        assert f"database {name}, whose final snapshot is {snapshot}" in result.output["deleted"]


def test_without_a_final_snapshot_only_where_the_request_has_the_waiver(
    machine: DeletingFormerData,
) -> None:
    result = machine.run(acceptNoFinalSnapshot=True)
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.former.snapshots == {FORMER: "", COPY: ""}
    assert f"database {FORMER}" in result.output["deleted"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"confirm": None}, "confirm"),
        ({"confirm": "other"}, "confirm"),
        ({"acceptNoFinalSnapshot": "yes"}, "acceptNoFinalSnapshot"),
        ({"backup": 7}, "backup"),
        ({"dryRun": 1}, "dryRun"),
    ],
)
def test_a_wrong_request_names_its_field(
    machine: DeletingFormerData, asked: dict[str, Any], field: str
) -> None:
    result = machine.run(**asked)
    assert (result.error, result.calls) == ("InvalidRequest", ["ValidateBackup"])
    assert field in cause_of(result)
    assert untouched(machine)


def test_one_with_instances_is_kept_and_named(machine: DeletingFormerData) -> None:
    former = machine.world.former
    former.beside[FORMER] = replace(former.beside[FORMER], instances=1)
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert set(former.beside) == {PRESENT, FORMER}
    assert former.beside[FORMER].status == "available"
    assert "database-0 is kept: it has 1 instances" in result.output["problem"]


def test_a_database_that_was_not_replaced_is_kept(machine: DeletingFormerData) -> None:
    """A person made it beside the present one, with the cluster's tags: no restore did."""
    former = machine.world.former
    later = machine.world.databases.created + timedelta(days=1)
    former.beside["mine"] = DatabaseBeside("mine", "available", later)
    former.beside["unknown"] = DatabaseBeside("unknown", "available", None)
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert set(former.beside) == {PRESENT, "mine", "unknown"}
    assert (
        "mine is kept: it was not created before the present database" in (result.output["problem"])
    )
    assert "unknown is kept: RDS does not show when" in result.output["problem"]


def test_one_that_gets_an_instance_after_the_plan_is_left_alone(
    machine: DeletingFormerData,
) -> None:
    former = machine.world.former

    def verified(_: dict[str, Any]) -> dict[str, Any]:
        former.beside[FORMER] = replace(former.beside[FORMER], instances=1)
        return dict(machine.world.verification)

    machine.functions["VerifyCluster"] = verified
    result = machine.run()
    assert result.error == "FormerDataNotDeleted"
    assert "Database database-0 has 1 instances since the plan was made" in cause_of(result)
    assert former.beside[FORMER].status == "available"


def test_what_became_former_after_the_plan_is_not_in_it(machine: DeletingFormerData) -> None:
    """A restore between the validation and the lock: what was present is not deleted."""
    world = machine.world

    def read(_: dict[str, Any]) -> dict[str, Any]:
        world.former.beside["database-2"] = DatabaseBeside("database-2", "available", None)
        return {**world.outputs, "DatabaseClusterId": "database-2"}

    world.former.beside[PRESENT] = replace(world.former.beside[PRESENT], instances=0)
    machine.functions["ReadCluster"] = read
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert set(world.former.beside) == {PRESENT, "database-2"}
    assert world.former.beside[PRESENT].status == "available"


@pytest.mark.parametrize("status", ["stopped", "inaccessible-encryption-credentials"])
def test_one_that_rds_cannot_delete_is_named_before_anything_goes(
    machine: DeletingFormerData, status: str
) -> None:
    former = machine.world.former
    former.beside[FORMER] = replace(former.beside[FORMER], status=status)
    result = machine.run()
    assert (result.error, result.calls) == ("FormerDataRefused", ["ValidateBackup"])
    assert f"database {FORMER} is {status}" in cause_of(result)
    assert former.snapshots == {}


def test_without_the_present_database_nothing_is_deleted(machine: DeletingFormerData) -> None:
    machine.world.databases.identifier = "another"
    result = machine.run()
    assert (result.error, result.calls) == ("FormerDataRefused", ["ValidateBackup"])
    assert "database-1 of cluster demo (output DatabaseClusterId) is not there" in cause_of(result)
    assert untouched(machine)


def test_where_the_cluster_is_not_verified_nothing_is_deleted(machine: DeletingFormerData) -> None:
    failed = {"result": "FAIL", "failure": "brokers: no broker answers"}
    machine.world.verification = {**machine.world.verification, **failed}
    result = machine.run()
    assert result.error == "VerificationFailed"
    assert "DeleteFormerData" not in result.calls
    assert untouched(machine)
    assert machine.world.table.locks == {}


class TestUnfinished:
    @pytest.mark.parametrize("ended", ["FAILED", "TIMED_OUT", "ABORTED", ""])
    @pytest.mark.parametrize("dry", [True, False])
    def test_while_the_last_restore_has_not_succeeded_nothing_is_deleted(
        self, machine: DeletingFormerData, ended: str, *, dry: bool
    ) -> None:
        machine.restored("SUCCEEDED")
        machine.restored(ended, number=1)
        result = machine.run(dryRun=dry)
        assert (result.error, result.calls) == ("RestoreUnfinished", ["ValidateBackup"])
        assert "The restore demo.restore.1, which began" in cause_of(result)
        assert untouched(machine)

    def test_a_restore_that_succeeded_after_it_settles_it(
        self, machine: DeletingFormerData
    ) -> None:
        machine.restored("FAILED")
        machine.restored("SUCCEEDED", number=1)
        assert machine.run().status == "SUCCEEDED"

    def test_so_does_a_provisioning_by_which_it_was_given_up(
        self, machine: DeletingFormerData
    ) -> None:
        machine.restored("FAILED")
        machine.restored("SUCCEEDED", machine="provision", number=1)
        assert machine.run().status == "SUCCEEDED"

    def test_but_no_provisioning_that_failed_itself(self, machine: DeletingFormerData) -> None:
        machine.restored("FAILED")
        machine.restored("FAILED", machine="provision", number=1)
        machine.restored("SUCCEEDED", machine="rotate", number=2)
        assert machine.run().error == "RestoreUnfinished"


def test_an_operation_that_holds_the_cluster_excludes_it(machine: DeletingFormerData) -> None:
    other = other_operation(machine)
    machine.world.executions.running.add(other.execution_arn)
    result = machine.run()
    assert result.error == "ClusterBusy"
    assert untouched(machine)


def test_a_database_that_takes_no_change_now_is_waited_for(machine: DeletingFormerData) -> None:
    former = machine.world.former
    former.busy = {FORMER}
    passes = former.advance

    def advance() -> None:
        former.busy = set()
        passes()

    former.advance = advance  # type: ignore[method-assign]
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert list(former.beside) == [PRESENT]


def test_a_deletion_that_rds_refuses_is_named(machine: DeletingFormerData) -> None:
    refused = FormerDataNotDeleted(f"Database {FORMER} was not deleted: SnapshotQuotaExceeded.")
    machine.world.former.refused = {FORMER: refused}
    result = machine.run()
    assert result.error == "FormerDataNotDeleted"
    assert "SnapshotQuotaExceeded" in cause_of(result)


def test_a_deletion_that_does_not_end_is_named(
    machine: DeletingFormerData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former_data, "FORMER_PATIENCE", 3600)
    former = machine.world.former
    former.advance = lambda: None  # type: ignore[method-assign]
    begun = machine.world.clock.now()
    result = machine.run()
    assert result.error == "FormerDataNotDeleted"
    assert f"For 1 hours database {FORMER} is being deleted" in cause_of(result)
    assert machine.world.clock.now() - begun >= timedelta(hours=1)
    # Buckets go last.
    assert former.buckets == ["bucket-nodes", LEASES]
    assert machine.world.table.locks == {}
