"""The restore machine's real definition, on databases, backups and tasks in memory."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from camunda_ecs import show
from lifecycle.cluster.freeze import TAG_FROZEN
from lifecycle.restore.decisions import DATABASE_PATIENCE
from lifecycle.restore.facts import MARGIN, Checkpoint, Range, SnapshotFound
from lifecycle.restore.ports import Thing
from lifecycle.times import written
from rich.console import Console

from tests.statemachines.engine import Control, run
from tests.statemachines.test_provision import Provision
from tests.support.restore import PASSWORD, QUARTER, RestoreWorld, restore_functions
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.definitions import Result

FUNCTIONS = tuple(restore_functions(RestoreWorld(), []))
STACK = f"{CONTROL}-demo"


class Restore:
    """The restore machine on a cluster that was provisioned; every wait lets AWS work."""

    definition = "restore"
    given: ClassVar[Mapping[str, Any]] = {"clusterName": "demo", "confirm": "demo"}

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.control = Control()
        self.seeds: list[dict[str, Any]] = []
        self.world = RestoreWorld()
        self.prepare()
        self.world.clock.pass_seconds(300)
        self.world.restore_tasks.now = int(self.world.clock.now().timestamp())
        self.functions = restore_functions(self.world, self.seeds)
        self.on_wait: Callable[[float], None] = self.world.pass_seconds

    def prepare(self) -> None:
        """Make what is restored."""
        provision = Provision(self.monkeypatch)
        provision.world = self.world
        provision.functions = provision._functions()
        assert provision.run().status == "SUCCEEDED"
        self.world.with_backups()

    def run(self, number: int = 1, **asked: Any) -> Result:
        at = self.world.clock.now()

        def started(name: str) -> Callable[[dict[str, Any]], Any]:
            def called(event: dict[str, Any]) -> Any:
                if "operation" in event:
                    event["operation"]["startedAt"] = at.isoformat()
                return self.functions[name](event)

            return called

        return run(
            "restore",
            {name: started(name) for name in self.functions},
            {**self.given, **asked},
            monkeypatch=self.monkeypatch,
            on_wait=self.on_wait,
            name=f"demo.restore.{number}",
            control=self.control,
        )

    def interrupt_before(self, function: str, happens: Callable[[], None], *, after: int) -> None:
        real, calls = self.functions[function], [0]

        def called(event: dict[str, Any]) -> Any:
            calls[0] += 1
            if calls[0] == after:
                happens()
            return real(event)

        self.functions[function] = called


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Restore:
    return Restore(monkeypatch)


def settled(machine: Restore, *, generation: str = "2") -> None:
    """The cluster runs on the restored data, and what was before is there."""
    world = machine.world
    assert world.present["DataGeneration"] == generation
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert world.restore_tasks.alive == []
    assert world.restore_tasks.most_at_once <= 3
    database = world.present["DatabaseClusterId"]
    assert world.restored.passwords[database] == PASSWORD
    assert "control-demo-databasecluster-1" in world.restored.databases
    assert [name for name in world.restored.databases if "-staging-" in name] == []
    assert world.table.locks == {}


def test_it_goes_to_the_newest_backup(machine: Restore) -> None:
    world = machine.world
    newest = world.stored.by_bucket["backups"][0]
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    settled(machine)
    database = world.present["DatabaseClusterId"]
    assert world.restored.contents[database] == newest.at - MARGIN
    assert result.output["restored"]["backup"] == newest.backup
    environments = set(
        map(tuple, (one.items() for one in world.restore_tasks.environments.values()))
    )
    assert environments == {
        (("ZEEBE_RESTORE", "true"), ("ZEEBE_RESTORE_TO_TIMESTAMP", written(newest.at)))
    }
    assert len(world.restore_tasks.tasks) == 3
    assert len(machine.seeds) == 1


def test_after_a_rotation_the_secrets_are_accepted_before_it_is_verified(machine: Restore) -> None:
    """The restored data has the passwords of before it."""
    world = machine.world
    for arn, name in (("arn:secret:admin", "admin"), ("arn:secret:connectors", "connectors-b")):
        world.secrets.create(arn, name, "rotated")
        world.secrets.promote(arn, "rotated", "first")
    real, verified = machine.functions["VerifyCluster"], []

    def verify(event: dict[str, Any]) -> Any:
        verified.append(world.users.accepts(world.secrets.value("arn:secret:admin")))
        return real(event)

    machine.functions["VerifyCluster"] = verify
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    settled(machine)
    assert all(verified)
    connectors = world.users.account(world.secrets.value("arn:secret:connectors"))
    assert connectors is not None
    assert connectors.memberships["roles"] == {"connectors"}


def test_after_two_rotations_of_the_administrator_it_says_what_to_do(machine: Restore) -> None:
    world, arn = machine.world, "arn:secret:admin"
    for number, former in ((1, "first"), (2, "rotated-1")):
        world.secrets.create(arn, "admin", f"rotated-{number}")
        world.secrets.promote(arn, f"rotated-{number}", former)
    result = machine.run()
    assert (result.status, result.error) == ("FAILED", "RestoreFailed")
    assert "stage AWSPREVIOUS" in json.loads(result.cause)["nextStep"]
    # The password of then, as a new version: the same request continues.
    world.secrets.kept[arn].stages["AWSPREVIOUS"] = "first"
    result = machine.run(2)
    assert result.status == "SUCCEEDED", result.cause
    settled(machine)


def test_the_cluster_runs_until_the_database_is_a_snapshot(machine: Restore) -> None:
    machine.interrupt_before(
        "RestoreDatabase",
        lambda: seen.append(dict(machine.world.desired)),
        after=3,
    )
    seen: list[dict[str, int]] = []
    assert machine.run().status == "SUCCEEDED"
    assert seen == [{"orchestration-cluster": 3, "connectors": 1}]


def test_a_moment_and_a_backup(machine: Restore) -> None:
    to = machine.world.stored.by_bucket["backups"][3].at + timedelta(minutes=14)
    result = machine.run(to=written(to))
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["restored"]["backup"] == 96
    plan = machine.run(2, backup=98, dryRun=True).output["plan"]
    assert any("It is restored by its id" in one for one in plan["warnings"])
    result = machine.run(3, backup=98)
    assert result.status == "SUCCEEDED", result.cause
    settled(machine, generation="3")


def test_a_dry_run_changes_nothing_and_tells_what_is_lost(machine: Restore) -> None:
    before = (dict(machine.world.stacks.stacks), machine.world.desired)
    result = machine.run(dryRun=True)
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls == ["ValidateRestore"]
    plan = result.output["plan"]
    assert plan["backup"] == 99
    assert plan["lost"]["seconds"] == 20 * 60
    assert "20 min of work until now" in plan["lost"]["text"]
    assert plan["stops"].startswith("3 brokers and 1 connectors stop")
    assert plan["minutes"]["brokers"] == 9
    assert plan["database"]["source"] == "control-demo-databasecluster-1"
    assert "FormerDataDays" in plan["keeps"]
    assert any("gaps is not known" in one for one in plan["warnings"])
    assert (dict(machine.world.stacks.stacks), machine.world.desired) == before


def test_what_is_lost_is_counted_where_brokers_answer(machine: Restore) -> None:
    world = machine.world
    world.counts.counts = {"process instances started": 1200, "user tasks created": "10000+"}
    plan = machine.run(dryRun=True).output["plan"]
    newest = world.stored.by_bucket["backups"][0]
    assert world.counts.since == [newest.at]
    assert plan["lost"]["counts"] == world.counts.counts
    assert plan["lost"]["counted"] == (
        "Until now: 1200 process instances started, 10000+ user tasks created."
    )
    world.counts.counts, world.counts.problem = {}, "no broker could answer"
    plan = machine.run(2, dryRun=True).output["plan"]
    assert plan["lost"]["counts"] == {}
    assert plan["lost"]["counted"] == "Not known: no broker could answer."


def test_without_brokers_nothing_is_counted(machine: Restore) -> None:
    world = machine.world
    for name in ("orchestration-cluster", "connectors"):
        world.services.set_count("", name, 0)
        world.services.settle(name)
    plan = machine.run(dryRun=True).output["plan"]
    assert world.counts.since == []
    assert plan["lost"]["counted"] == "Not known: no broker runs."


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"confirm": "demi"}, "InvalidRequest"),
        ({"to": "2020-01-01T00:00:00Z"}, "RestoreRefused"),
        ({"backup": 7}, "RestoreRefused"),
        ({"clusterName": "other", "confirm": "other"}, "ClusterNotFound"),
    ],
)
def test_what_cannot_be_restored_is_refused_before_anything_changes(
    machine: Restore, given: dict[str, Any], error: str
) -> None:
    result = machine.run(**given)
    assert (result.status, result.error) == ("FAILED", error)
    assert json.loads(result.cause)["currentState"] == "Nothing was changed."
    assert result.calls == ["ValidateRestore"]
    assert machine.world.desired == {"orchestration-cluster": 3, "connectors": 1}


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "NotFoundException"])
@pytest.mark.parametrize("paired", [True, False])
def test_what_a_closed_key_encrypts_is_refused_before_a_broker_stops(
    machine: Restore, state: str, *, paired: bool
) -> None:
    """RDS reads a snapshot only when the stack is changed: the cluster would be down by then."""
    world = machine.world
    world.restored.windows = [replace(one, key="arn:key") for one in world.restored.windows]
    if paired:
        at = world.stored.by_bucket["backups"][0].at - timedelta(minutes=1)
        world.restored.taken["pair"] = SnapshotFound("pair", at, 99, key="arn:key")
        world.restored.snapshots["pair"] = Thing("available", {})
    world.kept.keys = {"arn:key": state}
    result = machine.run()
    assert result.error == "RestoreRefused"
    assert f"arn:key is {state}" in result.cause
    assert result.calls == ["ValidateRestore"]
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}


def test_a_frozen_cluster_is_not_restored(machine: Restore) -> None:
    stacks = machine.world.stacks.stacks
    stacks[STACK] = replace(stacks[STACK], tags={**stacks[STACK].tags, TAG_FROZEN: "audit"})
    result = machine.run()
    assert result.error == "ClusterFrozen"
    assert machine.world.restored.made == []


def test_two_people(machine: Restore) -> None:
    machine.world.two_people_for = frozenset({"restore"})
    result = machine.run()
    assert result.error == "SecondApproverRequired"
    assert machine.world.restored.made == []


def test_a_copy_that_fails_leaves_the_cluster_running(machine: Restore) -> None:
    machine.world.restored.fails = "failed"
    result = machine.run()
    assert result.error == "RestoreFailed"
    assert "is failed" in json.loads(result.cause)["cause"]
    assert machine.world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert machine.world.present["DataGeneration"] == "1"


def test_a_database_that_takes_longer_than_its_limit_is_reported_and_waited_for_again(
    machine: Restore,
) -> None:
    """A large volume: the machine itself reports it, and what RDS goes on with is not lost."""
    world = machine.world
    began = world.clock.now()
    world.restored.slow = True
    result = machine.run(backup=97)
    assert result.error == "RestoreFailed"
    took = world.clock.now() - began
    limit = timedelta(seconds=DATABASE_PATIENCE)
    assert limit <= took < limit + timedelta(minutes=5)
    cause = json.loads(result.cause)
    (copy,) = world.restored.made
    assert cause["cause"] == f"For 4 hours the copy {copy} is creating."
    assert "start the same request again: it waits for what exists" in cause["nextStep"]
    # Nothing of the cluster was touched, and it is free.
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert world.present["DataGeneration"] == "1"
    assert world.table.locks == {}
    world.restored.slow = False
    again = machine.run(2, backup=97)
    assert again.status == "SUCCEEDED", again.cause
    assert world.restored.made == [copy]
    settled(machine)


def test_brokers_that_take_longer_than_their_limit_are_reported_and_waited_for_again(
    machine: Restore,
) -> None:
    """The cluster is stopped then: the same request is the way on, which the report shows."""
    world = machine.world
    world.restore_tasks.slow = True
    result = machine.run(backup=97)
    assert result.error == "RestoreFailed"
    cause = json.loads(result.cause)
    assert cause["cause"].startswith("For 4 hours ")
    assert "start the same request again" in cause["nextStep"]
    assert world.present["DataGeneration"] == "2"
    assert world.desired == {"orchestration-cluster": 0, "connectors": 0}
    assert world.table.locks == {}
    world.restore_tasks.slow = False
    again = machine.run(2, backup=97)
    assert again.status == "SUCCEEDED", again.cause
    settled(machine)


def test_a_broker_that_cannot_be_restored_is_named_and_the_same_request_continues(
    machine: Restore,
) -> None:
    world = machine.world
    world.restore_tasks.exits = [1]
    world.services.logs["broker-logs", "restore-0"] = ["No usable range found for partition 2"]
    result = machine.run()
    assert result.error == "RestoreFailed"
    cause = json.loads(result.cause)
    assert "task restore-0: exit code 1" in cause["cause"]
    assert "No usable range found for partition 2" in cause["cause"]
    assert world.restore_tasks.alive == []
    assert set(world.desired.values()) == {0}
    assert world.present["DataGeneration"] == "2"
    again = machine.run(2)
    assert again.status == "SUCCEEDED", again.cause
    assert "ExecuteChangeSet" not in again.calls
    assert len(world.restored.made) == 1
    settled(machine)


def test_after_a_failure_another_backup_can_be_restored(machine: Restore) -> None:
    machine.world.restore_tasks.exits = [1]
    assert machine.run().error == "RestoreFailed"
    result = machine.run(2, backup=97)
    assert result.status == "SUCCEEDED", result.cause
    settled(machine, generation="3")


def test_provisioning_never_starts_brokers_on_data_that_is_not_restored(
    machine: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.world.restore_tasks.exits = [1]
    assert machine.run().error == "RestoreFailed"
    provision = Provision(monkeypatch)
    provision.world = machine.world
    provision.functions = provision._functions()
    result = provision.run({"clusterName": "demo", "parameters": {}}, number=7)
    assert (result.status, result.error) == ("FAILED", "RestoreUnfinished")
    assert set(machine.world.desired.values()) == {0}


def test_before_the_change_set_provisioning_starts_the_cluster_as_it_was(
    machine: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.world.stacks.refuses = "the template is wrong"
    result = machine.run()
    assert result.error == "ChangeSetRefused"
    assert set(machine.world.desired.values()) == {0}
    machine.world.stacks.refuses = ""
    provision = Provision(monkeypatch)
    provision.world = machine.world
    provision.functions = provision._functions()
    result = provision.run({"clusterName": "demo", "parameters": {}}, number=7)
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.present["DataGeneration"] == "1"
    assert machine.world.desired == {"orchestration-cluster": 3, "connectors": 1}


def test_a_change_that_cloudformation_rolls_back_is_started_again_with_the_same_snapshot(
    machine: Restore,
) -> None:
    world = machine.world
    real = world.stacks.finish
    world.stacks.finish = lambda **_: real(  # type: ignore[method-assign]
        failing="DatabaseCluster", reason="no capacity"
    )
    result = machine.run()
    assert result.error == "StackFailed"
    world.stacks.finish = real  # type: ignore[method-assign]
    again = machine.run(2)
    assert again.status == "SUCCEEDED", again.cause
    assert len(world.restored.made) == 1
    settled(machine)


def test_tasks_without_capacity_are_started_later_and_never_too_many(machine: Restore) -> None:
    tasks = machine.world.restore_tasks
    tasks.capacity = 2
    real = machine.world.pass_seconds

    def wait(seconds: float) -> None:
        tasks.capacity = 1
        real(seconds)

    machine.on_wait = wait
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert (len(tasks.tasks), tasks.most_at_once) == (3, 3)


def test_tasks_that_ecs_does_not_list_yet_are_not_started_twice(machine: Restore) -> None:
    machine.world.restore_tasks.hides = True
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert len(machine.world.restore_tasks.tasks) == 3


def test_a_restored_cluster_is_restored_to_the_same_backup_only_by_name(machine: Restore) -> None:
    """A request that is repeated loses nothing, and one that asks for it is no empty success."""
    backup = machine.world.stored.by_bucket["backups"][0].backup
    assert machine.run(backup=backup).status == "SUCCEEDED"
    repeated = machine.run(2, backup=backup)
    assert (repeated.status, repeated.error) == ("FAILED", "RestoreRefused")
    told = json.loads(repeated.cause)
    assert "demo.restore.1 restored it, and the cluster has worked since" in told["cause"]
    assert "again true" in told["nextStep"]
    assert repeated.calls == ["ValidateRestore"]
    settled(machine)
    again = machine.run(3, backup=backup, again=True)
    assert again.status == "SUCCEEDED", again.cause
    assert "RestoreBrokers" in again.states
    settled(machine, generation="3")


def test_a_repetition_that_was_interrupted_continues(machine: Restore) -> None:
    backup = machine.world.stored.by_bucket["backups"][0].backup
    assert machine.run(backup=backup).status == "SUCCEEDED"
    machine.world.restore_tasks.exits = [1]
    failed = machine.run(2, backup=backup, again=True)
    assert (failed.status, failed.error) == ("FAILED", "RestoreFailed")
    assert machine.world.present["DataGeneration"] == "3"
    result = machine.run(3, backup=backup, again=True)
    assert result.status == "SUCCEEDED", result.cause
    settled(machine, generation="3")


def test_a_scaled_cluster_comes_back_with_all_its_brokers(machine: Restore) -> None:
    world = machine.world
    world.leases.by_bucket["node-ids"] = 4
    world.restore_tasks.brokers = 4
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert world.stacks.stacks[STACK].parameters["Brokers"] == "4"
    assert world.desired["orchestration-cluster"] == 4


def stop_all(machine: Restore) -> None:
    for name in ("orchestration-cluster", "connectors"):
        machine.world.services.set_count("", name, 0)
        machine.world.services.settle(name)


def answer(machine: Restore, partitions: int, *, since: int = 3) -> None:
    """Let the brokers return their partitions, those that were added since so many backups."""
    world, now = machine.world, machine.world.clock.now()
    world.ranges.partitions = partitions
    world.ranges.ranges = [
        Range(one, now - (9 if one <= 3 else since + 1) * QUARTER, now)
        for one in range(1, partitions + 1)
    ]


@pytest.mark.parametrize("alive", [True, False])
def test_after_partitions_were_added_the_newest_backup_is_restored_with_all_of_them(
    machine: Restore, *, alive: bool
) -> None:
    """No provisioning since: the stack has the number that it was built with."""
    world = machine.world
    world.with_partitions_added()
    if alive:
        answer(machine, 6)
    else:
        stop_all(machine)
    assert world.present["Partitions"] == "3"
    plan = machine.run(dryRun=True).output["plan"]
    assert (plan["backup"], plan["partitions"]) == (99, 6)
    assert any("Partitions of the stack is 3 and becomes 6" in one for one in plan["warnings"])
    result = machine.run(2)
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["restored"]["backup"] == 99
    # The restore application needs brokers that are configured with the number of the backup.
    assert world.stacks.stacks[STACK].parameters["Partitions"] == "6"
    assert world.present["DataGeneration"] == "2"


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("by", ["backup", "to"])
def test_a_backup_of_before_partitions_were_added_is_refused_with_the_way_to_it(
    machine: Restore, by: str, *, alive: bool
) -> None:
    world = machine.world
    # So many that those until the moment are all that is read for it.
    at = world.stored.by_bucket["backups"][-1].at
    world.stored.by_bucket["backups"] += [
        Checkpoint(91 - one, at - (one + 1) * QUARTER, 3, (8, 9, 22)) for one in range(20)
    ]
    world.with_partitions_added()
    if alive:
        answer(machine, 6)
    else:
        stop_all(machine)
    given: dict[str, Any] = (
        {"backup": 96}
        if by == "backup"
        else {"to": written(world.stored.by_bucket["backups"][3].at + timedelta(minutes=1))}
    )
    result = machine.run(**given)
    assert result.error == "RestoreRefused"
    cause = json.loads(result.cause)
    assert "it has 3 partitions and the cluster 6" in cause["cause"]
    assert "a new cluster" in cause["nextStep"]
    assert "Partitions 3" in cause["nextStep"]
    assert result.calls == ["ValidateRestore"]


def test_partitions_that_only_an_incomplete_backup_has_are_named_in_the_plan(
    machine: Restore,
) -> None:
    stop_all(machine)
    backups = machine.world.stored.by_bucket["backups"]
    backups[0] = replace(backups[0], partitions=6, lacks="partition 6 is FAILED")
    plan = machine.run(dryRun=True).output["plan"]
    assert (plan["backup"], plan["partitions"]) == (98, 3)
    (told,) = (one for one in plan["warnings"] if "has 6 partitions" in one)
    assert told.startswith("Backup 99 of ")
    assert "(partition 6 is FAILED)" in told
    assert told.endswith("nothing since then is restored.")


def test_without_a_backup_of_all_partitions_nothing_older_is_restored(machine: Restore) -> None:
    """Partitions were added a moment ago: what there is lacks everything since."""
    answer(machine, 6)
    machine.world.ranges.ranges = []
    result = machine.run()
    assert result.error == "RestoreRefused"
    assert "99: it has 3 partitions and the cluster 6" in json.loads(result.cause)["cause"]


def test_without_continuous_backups_the_backup_is_restored_by_its_id(machine: Restore) -> None:
    world = machine.world
    stack = world.stacks.stacks[STACK]
    outputs = type(stack.outputs)({**stack.outputs, "ContinuousBackup": "false"})
    world.stacks.stacks[STACK] = replace(stack, outputs=outputs)
    result = machine.run(dryRun=True)
    assert result.output["target"]["environment"] == {
        "ZEEBE_RESTORE": "true",
        "ZEEBE_RESTORE_FROM_BACKUP_ID": "99",
    }


def test_the_command_line_shows_all_of_the_plan_of_a_dry_run(machine: Restore) -> None:
    result = machine.run(dryRun=True)
    console = Console(width=2000, record=True, file=io.StringIO())
    for part in show.restore_plan({"kind": "restore", "result": result.output}):
        console.print(part)
    shown, plan = console.export_text(), result.output["plan"]
    assert plan["warnings"]
    for text in (
        plan["to"],
        f"backup {plan['backup']}, {plan['partitions']} partitions",
        plan["database"]["source"],
        plan["database"]["at"],
        plan["lost"]["text"],
        plan["stops"],
        plan["minutes"]["text"],
        plan["keeps"],
        *plan["warnings"],
    ):
        assert text in shown, text
    assert (
        show.headline({"cluster": "demo", "kind": "restore", "result": result.output})
        == "demo: dry run of restore succeeded, nothing was changed"
    )
    assert show.restore_plan({"kind": "restart", "result": {"dryRun": True}}) == []
    assert show.restore_plan({"kind": "restore", "result": {"plan": plan}}) == []


def test_an_older_backup_is_quarters_of_an_hour_away(machine: Restore) -> None:
    backups = machine.world.stored.by_bucket["backups"]
    assert backups[0].at - backups[1].at == QUARTER
