"""The backup before brokers are moved or replaced, on the real definitions of the machines."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.freeze import TAG_FROZEN
from lifecycle.cluster.stack import ResourceChange
from lifecycle.errors import BackupFailed, BackupRefused, LockLost
from lifecycle.times import written

from tests.statemachines.engine import Control
from tests.statemachines.test_provision import INPUT, NEXT_MINOR, Provision, revise
from tests.statemachines.test_restart import Restart
from tests.statemachines.test_scale import Scale
from tests.support.backups import BACKUP
from tests.support.scaling import scale_operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.definitions import Function, Result

WAITING = {"status": "WAITING", "wait": 20, "memory": {"above": 6}}
TAKEN = {"status": "TAKEN", "wait": 0, "memory": {"above": 6}, "backup": BACKUP}
FRESH = {**TAKEN, "status": "FRESH", "memory": {}}
WAIVED = {**FRESH, "status": "WAIVED", "backup": {**BACKUP, "id": 0, "reason": "none"}}
ONE = {"maxAgeHours": 4, "acceptNoBackup": False, "snapshot": False}


class Taking:
    """The function that takes backups: its answers in turn, and what it was called with."""

    def __init__(
        self, functions: dict[str, Function], answers: list[Any], moved: Callable[[], bool]
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self.answers, self.moved = answers, moved
        functions["TakeBackup"] = self.take

    def take(self, event: dict[str, Any]) -> Any:
        assert not self.moved(), "something was moved before there was a backup"
        self.events.append(event)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [event["request"] for event in self.events]


def before(result: Result, *later: str) -> None:
    """The backup was ensured before any of these functions was called."""
    assert result.status == "SUCCEEDED", result.cause
    for name in later:
        assert result.calls.index("TakeBackup") < result.calls.index(name)


# --- scale ---------------------------------------------------------------------------------------


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> Scale:
    return Scale(monkeypatch)


def scaled(scale: Scale, *answers: Any) -> Taking:
    world, tasks, writes = scale.world, scale.world.tasks.desired, scale.world.management.writes
    return Taking(
        scale.functions,
        list(answers),
        lambda: (world.tasks.desired, world.management.writes) != (tasks, writes),
    )


def test_scaling_out_begins_with_a_backup(scale: Scale) -> None:
    taking = scaled(scale, FRESH)
    result = scale.run(4)
    before(result, "SetBrokerCount", "ChangeBrokers")
    assert taking.requests == [ONE]
    # What a fresh backup costs: one call and one choice.
    assert result.states.count("EnsureBackup") == 1
    assert "WaitForBackup" not in result.states
    assert result.output["backup"] == {"status": "FRESH", **BACKUP}
    scale.settled(4)


def test_scaling_in_begins_with_a_backup(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = Scale(monkeypatch, brokers=4)
    taking = scaled(scale, FRESH)
    before(scale.run(3), "ChangeBrokers")
    assert len(taking.events) == 1
    scale.settled(3)


def test_adding_partitions_begins_with_a_backup(scale: Scale) -> None:
    taking = scaled(scale, FRESH)
    before(scale.add(6), "ChangeBrokers")
    assert len(taking.events) == 1


def test_a_backup_that_is_taken_is_awaited_and_the_cluster_read_again(scale: Scale) -> None:
    taking = scaled(scale, WAITING, WAITING, TAKEN)
    result = scale.run(4)
    before(result, "SetBrokerCount")
    assert [event["memory"] for event in taking.events] == [{}, {"above": 6}, {"above": 6}]
    assert result.waited[:2] == [20, 20]
    after = result.calls[result.calls.index("TakeBackup") :]
    assert after[:4] == ["TakeBackup", "TakeBackup", "TakeBackup", "ObserveScaling"]
    assert result.output["backup"]["status"] == "TAKEN"
    scale.settled(4)


def test_who_freezes_the_cluster_during_the_backup_is_heeded(scale: Scale) -> None:
    scaled(scale, WAITING, TAKEN)

    def freeze() -> None:
        assert scale.world.stacks.stack is not None
        scale.world.stacks.stack.tags[TAG_FROZEN] = "year end"  # type: ignore[index]

    scale.on_wait = freeze
    assert scale.run(4).error == "ClusterFrozen"
    scale.settled(3)


@pytest.mark.parametrize("asked", [{"count": 4}, {"partitions": 6}])
@pytest.mark.parametrize(
    "answers",
    [
        [BackupRefused("the brokers have no store for backups")],
        [WAITING, BackupFailed("backup 7 is FAILED")],
    ],
)
def test_without_a_backup_nothing_is_scaled(
    scale: Scale, asked: dict[str, Any], answers: list[Any]
) -> None:
    scaled(scale, *answers)
    result = scale.given(asked)
    assert result.error == type(answers[-1]).__name__
    assert json.loads(result.cause)["nextStep"]
    assert scale.world.management.writes == 0
    assert scale.world.tasks.started == 3
    assert "SetBrokerCount" not in result.calls
    scale.settled(3)


def test_tasks_that_an_interrupted_operation_added_go_when_there_is_no_backup(scale: Scale) -> None:
    real = scale.functions["ObserveScaling"]
    scale.interrupt("SetBrokerCount", LockLost("gone"))
    assert scale.run(4).status == "FAILED"
    scale.world.table.locks.clear()
    scale.world.tasks.set_count("", "", 4)
    scale.functions["ObserveScaling"] = real
    Taking(scale.functions, [BackupRefused("no answer")], lambda: False)
    assert scale.run(4, number=2).error == "BackupRefused"
    assert scale.world.management.writes == 0
    scale.settled(3)


def test_a_lost_lock_during_the_backup_takes_nothing_back(scale: Scale) -> None:
    scaled(scale, LockLost("another operation"))
    result = scale.run(4)
    assert result.error == "LockLost"
    assert result.calls.count("ObserveScaling") == 1


def test_what_moves_nothing_needs_no_backup(scale: Scale) -> None:
    taking = scaled(scale, BackupRefused("must not be called"))
    assert scale.run(3).status == "SUCCEEDED"
    assert taking.events == []


def test_a_change_in_progress_is_followed_without_a_backup(scale: Scale) -> None:
    scale.world.tasks.desired = 4
    scale.world.pass_seconds(20)
    scale.world.brokers.scale_brokers(4)
    taking = scaled(scale, BackupRefused("must not be called"))
    result = scale.run(4)
    assert result.status == "SUCCEEDED", result.cause
    assert taking.events == []
    scale.settled(4)


def test_brokers_that_lost_their_tasks_get_them_back_without_a_backup(scale: Scale) -> None:
    scale.world.tasks.desired = 2
    taking = scaled(scale, BackupRefused("must not be called"))
    result = scale.run(3)
    assert result.status == "SUCCEEDED", result.cause
    assert "SetBrokerCount" in result.calls
    assert taking.events == []
    scale.settled(3)


def test_age_and_waiver_come_from_the_cluster_and_the_request(scale: Scale) -> None:
    stack = scale.world.stacks.stack
    assert stack is not None
    parameters = {**stack.parameters, "BackupMaxAge": "12"}
    scale.world.stacks.stack = replace(stack, parameters=parameters)
    taking = scaled(scale, WAIVED)
    result = scale.run(4, acceptNoBackup=True)
    assert result.status == "SUCCEEDED", result.cause
    assert taking.requests == [{"maxAgeHours": 12, "acceptNoBackup": True, "snapshot": False}]
    assert result.output["backup"]["status"] == "WAIVED"


def test_a_cluster_without_the_parameter_has_the_default(scale: Scale) -> None:
    stack = scale.world.stacks.stack
    assert stack is not None
    scale.world.stacks.stack = replace(stack, parameters={})
    taking = scaled(scale, FRESH)
    scale.run(4)
    assert taking.requests == [ONE]


@pytest.mark.parametrize("given", ["yes", 1, None])
def test_a_waiver_is_true_or_false(scale: Scale, given: Any) -> None:
    result = scale.run(4, acceptNoBackup=given)
    assert result.error == "InvalidRequest"
    assert "acceptNoBackup" in result.cause


@pytest.mark.parametrize("goal", [{"requested": 4}, {"requested": 0, "partitions": 6}])
def test_a_plan_of_scaling_shows_the_backup_it_begins_with(
    scale: Scale, goal: dict[str, int]
) -> None:
    made = scale.world.planner.plan(scale_operation(), **goal)["plan"]
    stored = json.loads(scale.world.artifacts.objects[made["planKey"]])
    assert "younger than 4 hours (BackupMaxAge)" in stored["backup"]
    assert "Now: there is no backup of the brokers" in stored["backup"]
    assert '"acceptNoBackup": true' in scale.world.artifacts.objects[made["textKey"]].decode()


def test_a_plan_of_nothing_needs_no_backup(scale: Scale) -> None:
    made = scale.world.planner.plan(scale_operation(), requested=3)["plan"]
    stored = json.loads(scale.world.artifacts.objects[made["planKey"]])
    assert stored["backup"].startswith("None is needed")


# --- restart -------------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Restart:
    return Restart(monkeypatch)


def restarted(machine: Restart, *answers: Any) -> Taking:
    return Taking(machine.functions, list(answers), lambda: machine.world.tasks.deployed > 1)


def test_a_restart_of_all_brokers_begins_with_a_backup(machine: Restart) -> None:
    taking = restarted(machine, WAITING, TAKEN)
    result = machine.run()
    before(result, "RestartService")
    assert taking.requests == [ONE, ONE]
    assert result.output["backup"] == {"status": "TAKEN", **BACKUP}
    assert machine.world.tasks.replaced == [2, 1, 0]


def test_one_broker_is_restarted_without_a_backup(machine: Restart) -> None:
    """It is what a sick broker needs, and while it is sick a backup may not complete."""
    taking = restarted(machine, BackupRefused("must not be called"))
    result = machine.run(broker=1)
    assert result.status == "SUCCEEDED", result.cause
    assert taking.events == []


def test_connectors_are_restarted_without_a_backup(machine: Restart) -> None:
    machine.on_wait = lambda: machine.world.services.settle("connectors")
    taking = restarted(machine, BackupRefused("must not be called"))
    assert machine.run(service="connectors").status == "SUCCEEDED"
    assert taking.events == []


def test_without_a_backup_no_broker_is_restarted(machine: Restart) -> None:
    restarted(machine, BackupRefused("the brokers have no store for backups"))
    result = machine.run()
    assert result.error == "BackupRefused"
    assert machine.world.tasks.replaced == []
    assert machine.world.tasks.deployed == 1
    assert machine.world.table.locks == {}


def test_a_restart_goes_without_a_backup_by_name(machine: Restart) -> None:
    taking = restarted(machine, WAIVED)
    assert machine.run(acceptNoBackup=True).status == "SUCCEEDED"
    assert [one["acceptNoBackup"] for one in taking.requests] == [True]


def test_connectors_have_no_backup_to_go_without(machine: Restart) -> None:
    result = machine.run(service="connectors", acceptNoBackup=True)
    assert result.error == "InvalidRequest"
    assert "nothing when connectors are restarted" in result.cause


# --- provision -----------------------------------------------------------------------------------


SIZED: dict[str, Any] = {**INPUT, "parameters": {"BrokerCpu": 2048, "BrokerMemory": 8192}}
REVISED = ResourceChange(
    "Modify", "OrchestrationTaskDefinition", "AWS::ECS::TaskDefinition", "True"
)


@pytest.fixture
def provision(monkeypatch: pytest.MonkeyPatch) -> Provision:
    one = Provision(monkeypatch)
    one.world.stacks.changed_by = {
        **one.world.stacks.changed_by,
        "BrokerCpu": [REVISED],
        "OrchestrationImage": [REVISED],
    }
    return one


def provisioned(provision: Provision, *answers: Any) -> Taking:
    assert provision.run().status == "SUCCEEDED"
    history = len(provision.world.stacks.history)

    def moved() -> bool:
        stacks = provision.world.stacks
        return len(stacks.history) > history or bool(provision.rolling.tasks.replaced)

    return Taking(provision.functions, list(answers), moved)


def test_a_first_creation_needs_no_backup(provision: Provision) -> None:
    taking = Taking(provision.functions, [BackupRefused("must not be called")], lambda: False)
    result = provision.run()
    assert result.status == "SUCCEEDED", result.cause
    assert taking.events == []
    assert result.output["backup"] == {}


def test_a_change_set_that_replaces_brokers_begins_with_a_backup(provision: Provision) -> None:
    taking = provisioned(provision, WAITING, TAKEN)
    result = provision.run(SIZED, number=2)
    before(result, "ExecuteChangeSet")
    assert taking.requests == [ONE, ONE]
    assert taking.events[0]["cluster"]["EcsClusterName"] == "control-demo"
    assert result.output["backup"]["status"] == "TAKEN"


def test_without_a_backup_the_stack_is_not_changed(provision: Provision) -> None:
    taking = provisioned(provision, BackupRefused("the brokers have no store for backups"))
    stack = provision.world.stacks.stacks["control-demo"]
    result = provision.run(SIZED, number=2)
    assert result.error == "BackupRefused"
    assert taking.events
    assert "ExecuteChangeSet" not in result.calls
    assert provision.world.stacks.stacks["control-demo"].parameters == stack.parameters
    assert provision.world.table.locks == {}


def test_a_change_set_that_replaces_no_broker_needs_no_backup(provision: Provision) -> None:
    taking = provisioned(provision, BackupRefused("must not be called"))
    result = provision.run({**INPUT, "parameters": {"LogRetentionDays": 90}}, number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert "ExecuteChangeSet" in result.calls
    assert taking.events == []


def test_brokers_that_do_not_run_are_not_replaced(provision: Provision) -> None:
    """Nothing is moved then, and no backup could be taken."""
    taking = provisioned(provision, BackupRefused("must not be called"))
    provision.world.services.set_count("control-demo", "orchestration-cluster", 0)
    provision.world.bring_up()
    result = provision.run(SIZED, number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert taking.events == []


def test_a_roll_that_the_stack_does_not_show_begins_with_a_backup(provision: Provision) -> None:
    """The stack is as requested, and the brokers are not: an operation broke off between both."""
    taking = provisioned(provision, FRESH)
    revise(provision, "orchestration-cluster")
    result = provision.run(number=2)
    before(result, "RollServices")
    assert "ExecuteChangeSet" not in result.calls
    assert len(taking.events) == 1
    assert taking.events[0]["cluster"]["OrchestrationTaskDefinitionArn"].endswith(":2")
    # Which of both waivers counts, only the version of the brokers that run shows.
    assert taking.requests == [{**ONE, "acceptNoWayBack": False}]
    assert provision.rolling.tasks.replaced == [2, 1, 0]


def test_without_a_backup_no_broker_is_replaced(provision: Provision) -> None:
    provisioned(provision, BackupRefused("the brokers have no store for backups"))
    revise(provision, "orchestration-cluster")
    result = provision.run(number=2)
    assert result.error == "BackupRefused"
    assert "RollServices" not in result.calls
    assert provision.rolling.tasks.replaced == []


def test_a_roll_that_was_interrupted_goes_on_without_a_backup(provision: Provision) -> None:
    taking = provisioned(provision, BackupRefused("must not be called"))
    real = provision.functions["StartServices"]

    def going_on(event: dict[str, Any]) -> Any:
        return {**real(event), "roll": True}

    provision.functions["StartServices"] = going_on
    provision.rolling.revise(1)
    result = provision.run(number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert "RollServices" in result.calls
    assert taking.events == []


def test_the_waiver_of_a_provisioning_reaches_the_function(provision: Provision) -> None:
    taking = provisioned(provision, WAIVED)
    result = provision.run({**SIZED, "acceptNoBackup": True}, number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert taking.requests == [{**ONE, "acceptNoBackup": True}]


@pytest.mark.parametrize(
    ("waiver", "accepted"),
    [({}, False), ({"acceptNoBackup": True}, False), ({"acceptNoWayBack": True}, True)],
)
def test_a_minor_version_takes_a_snapshot_too_and_has_a_waiver_of_its_own(
    provision: Provision, waiver: dict[str, bool], accepted: bool
) -> None:
    taking = provisioned(provision, FRESH)
    result = provision.run({**NEXT_MINOR, **waiver}, number=2)
    before(result, "ExecuteChangeSet")
    assert taking.requests == [
        {"maxAgeHours": 4, "acceptNoBackup": accepted, "snapshot": True},
    ]


# --- an execution that was stopped and goes on later ---------------------------------------------


def rests(on: dict[str, Any], now: datetime) -> dict[str, Any]:
    """An answer that lets brokers move for as long as the execution that began now can last."""
    return {**on, "until": written(now + timedelta(hours=8))}


def stop_before(machine: Any, function: str, control: Control) -> None:
    """A person stops the execution where a function is called that then does not run."""
    real = machine.functions[function]

    def stopped(_: dict[str, Any]) -> Any:
        machine.functions[function] = real
        control.stop()
        raise LockLost("the engine goes on, and nothing of it counts")

    machine.functions[function] = stopped


def outdated(result: Result) -> dict[str, Any]:
    assert result.error == "BackupOutdated", result.cause
    failure: dict[str, Any] = json.loads(result.cause)
    assert "same request again" in failure["nextStep"]
    return failure


@pytest.mark.parametrize(
    ("asked", "function"),
    [
        ({"count": 4}, "SetBrokerCount"),
        ({"count": 4}, "ChangeBrokers"),
        ({"count": 4}, "ObserveScaling"),
        ({"partitions": 6}, "ChangeBrokers"),
    ],
)
def test_scaling_that_goes_on_days_later_moves_nothing_on_the_backup_of_then(
    scale: Scale, asked: dict[str, Any], function: str
) -> None:
    control = Control()
    Taking(scale.functions, [rests(FRESH, scale.world.clock.now())], lambda: False)
    stop_before(scale, function, control)
    assert scale.given(asked, 1, control).status == "ABORTED"
    scale.world.clock.pass_seconds(5 * 24 * 3600)
    control.redrive = True
    failure = outdated(scale.given(asked, 1, control))
    assert "2026-01-01" in failure["cause"]
    assert scale.world.management.writes == 0
    scale.settled(3)

    Taking(scale.functions, [rests(FRESH, scale.world.clock.now())], lambda: False)
    assert scale.given(asked, 2).status == "SUCCEEDED"


def test_scaling_that_goes_on_soon_needs_no_other_backup(scale: Scale) -> None:
    control = Control()
    taking = scaled(scale, rests(FRESH, scale.world.clock.now()))
    stop_before(scale, "ChangeBrokers", control)
    taking.moved = lambda: False
    assert scale.run(4, 1, control).status == "ABORTED"
    scale.world.clock.pass_seconds(3600)
    control.redrive = True
    result = scale.run(4, 1, control)
    assert result.status == "SUCCEEDED", result.cause
    assert len(taking.events) == 1
    scale.settled(4)


def test_a_change_that_was_sent_is_followed_days_later(scale: Scale) -> None:
    """It moves on its own: nothing that this operation still does begins it."""
    control = Control()
    Taking(scale.functions, [rests(FRESH, scale.world.clock.now())], lambda: False)
    real = scale.functions["ChangeBrokers"]

    def stopped(event: dict[str, Any]) -> Any:
        scale.functions["ChangeBrokers"] = real
        real(event)
        control.stop()
        raise LockLost("the engine goes on, and nothing of it counts")

    scale.functions["ChangeBrokers"] = stopped
    assert scale.run(4, 1, control).status == "ABORTED"
    scale.world.clock.pass_seconds(5 * 24 * 3600)
    control.redrive = True
    result = scale.run(4, 1, control)
    assert result.status == "SUCCEEDED", result.cause
    assert scale.world.management.writes == 1
    scale.settled(4)


def test_a_restart_that_goes_on_days_later_restarts_nothing(machine: Restart) -> None:
    Taking(machine.functions, [rests(FRESH, machine.world.clock.now())], lambda: False)
    stop_before(machine, "RestartService", machine.control)
    assert machine.run().status == "ABORTED"
    machine.world.clock.pass_seconds(5 * 24 * 3600)
    machine.control.redrive = True
    outdated(machine.run())
    assert machine.world.tasks.replaced == []
    assert machine.world.tasks.deployed == 1
    assert machine.world.table.locks == {}


def test_a_restart_that_has_begun_ends_days_later(machine: Restart) -> None:
    """Brokers of two deployments are what has to end; which one is restarted last is no matter."""
    Taking(machine.functions, [rests(FRESH, machine.world.clock.now())], lambda: False)
    at = machine.world.clock.now()
    real = machine.functions["RestartService"]

    def stopped(event: dict[str, Any]) -> Any:
        if machine.world.tasks.replaced:
            machine.functions["RestartService"] = real
            machine.control.stop()
            raise LockLost("the engine goes on, and nothing of it counts")
        return real(event)

    machine.functions["RestartService"] = stopped
    assert machine.run().status == "ABORTED"
    assert machine.world.tasks.replaced == [2]
    late = int((at - machine.world.clock.now()).total_seconds()) - 5 * 24 * 3600
    machine.world.clock.pass_seconds(5 * 24 * 3600)
    machine.control.redrive = True
    result = machine.run(late=late)
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.tasks.replaced == [2, 1, 0]


@pytest.mark.parametrize("function", ["ExecuteChangeSet", "RollServices"])
def test_a_provisioning_that_goes_on_days_later_replaces_nothing(
    provision: Provision, function: str
) -> None:
    assert provision.run().status == "SUCCEEDED"
    history = len(provision.world.stacks.history)
    given = SIZED if function == "ExecuteChangeSet" else INPUT
    if function == "RollServices":
        revise(provision, "orchestration-cluster")
    control = Control()
    Taking(provision.functions, [rests(FRESH, provision.world.clock.now())], lambda: False)
    stop_before(provision, function, control)
    assert provision.run(given, 2, control).status == "ABORTED"
    for clock in (provision.world.clock, provision.rolling.clock):
        clock.pass_seconds(5 * 24 * 3600)
    control.redrive = True
    outdated(provision.run(given, 2, control))
    assert len(provision.world.stacks.history) == history
    assert provision.rolling.tasks.replaced == []
    assert provision.world.table.locks == {}


def test_a_change_set_that_runs_is_followed_days_later(provision: Provision) -> None:
    assert provision.run().status == "SUCCEEDED"
    control = Control()
    Taking(provision.functions, [rests(FRESH, provision.world.clock.now())], lambda: False)
    real = provision.functions["ExecuteChangeSet"]

    def unheard(event: dict[str, Any]) -> Any:
        provision.functions["ExecuteChangeSet"] = real
        real(event)
        control.stop()
        raise LockLost("the engine goes on, and nothing of it counts")

    provision.functions["ExecuteChangeSet"] = unheard
    assert provision.run(SIZED, 2, control).status == "ABORTED"
    provision.world.clock.pass_seconds(5 * 24 * 3600)
    control.redrive = True
    result = provision.run(SIZED, 2, control)
    assert result.status == "SUCCEEDED", result.cause
