"""Whatever the function that takes backups answers: no broker is moved or replaced without one.

Each machine on its real definition, with any answers in any order, broken off at any state and
started again. The law is checked where something moves: at the functions that change the cluster.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifecycle.errors import AwsUnavailable, BackupFailed, BackupRefused

from tests.property.test_life import begins, provision_functions
from tests.support.backups import BACKUP
from tests.support.interpreter import Execution
from tests.support.rolling import RollingWorld, restart_functions
from tests.support.scaling import ScalingWorld, scale_functions, scale_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.operation.model import Operation

    from tests.support.definitions import Function

pytestmark = pytest.mark.property

ENOUGH = ("FRESH", "TAKEN", "WAIVED")
ANSWERS = st.lists(st.sampled_from([*ENOUGH, "WAITING", "REFUSED", "FAILED", "LOST"]), max_size=8)


class Gate:
    """The function that takes backups, with given answers, the last of them enough.

    ``open`` shows whether this execution has an answer that is enough, ``violations`` hold what
    moved something before.
    """

    def __init__(self, answers: list[str]) -> None:
        self.answers = iter([*answers, *itertools.repeat("FRESH", 100)])
        self.open = False
        self.violations: list[Mapping[str, Any]] = []

    def take(self, event: dict[str, Any]) -> dict[str, Any]:
        answer = next(self.answers)
        if answer == "REFUSED":
            raise BackupRefused("The brokers have no store for backups.")
        if answer == "FAILED":
            raise BackupFailed("Backup 7 is FAILED.")
        if answer == "LOST":
            raise AwsUnavailable("Rate exceeded.")
        self.open = answer in ENOUGH
        wait = 0 if self.open else 5
        return {"status": answer, "wait": wait, "memory": event["memory"], "backup": BACKUP}

    def guarded(
        self, function: Function, moves: Callable[[Mapping[str, Any]], bool] = lambda _: True
    ) -> Function:
        """The function, which may be called only after the gate for what ``moves`` something."""

        def called(event: dict[str, Any]) -> Any:
            if not self.open and moves(event):
                # What a function raises its machine catches.
                self.violations.append(event)
            return function(event)

        return called


def adds(desired: int, *, unless: bool) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a count is set above the desired one."""
    return lambda event: not unless and event["count"] > desired


def always[Answer](answer: Answer) -> Callable[[Mapping[str, Any]], Answer]:
    """The same answer to everything."""
    return lambda _: answer


def to_its_end(execution: Execution, steps: int) -> None:
    for _ in range(steps):
        if execution.status:
            return
        execution.step()


QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@QUICK
@given(
    answers=ANSWERS,
    goal=st.sampled_from([{"count": 3}, {"count": 4}, {"count": 5}, {"partitions": 6}]),
    breaks=st.lists(st.integers(1, 60), max_size=2),
)
def test_scaling_moves_nothing_before_its_backup(
    answers: list[str], goal: dict[str, int], breaks: list[int]
) -> None:
    world = ScalingWorld(4)
    answered = iter(answers)
    for number, steps in enumerate([*breaks, 1600], start=1):
        # A change that an earlier execution has sent is followed, its tasks are provided.
        moved = world.management.writes > 0
        desired = world.tasks.desired
        gate = Gate([*itertools.islice(answered, 4)])
        functions = scale_functions(world)
        functions["TakeBackup"] = gate.take
        functions["SetBrokerCount"] = gate.guarded(
            functions["SetBrokerCount"],
            adds(desired, unless=moved),
        )
        functions["ChangeBrokers"] = gate.guarded(
            functions["ChangeBrokers"], lambda event: event["action"] != "BACK_UP"
        )
        name = scale_operation(number).operation_id
        started = world.clock.now().isoformat()
        execution = Execution(
            "scale",
            functions,
            {"clusterName": "demo", **goal},
            name=name,
            started_at=started,
            on_wait=world.pass_seconds,
        )
        to_its_end(execution, steps)
        assert gate.violations == []
        world.table.locks.clear()
    assert execution.status in {"SUCCEEDED", "FAILED"}
    if execution.status == "FAILED":
        assert execution.error in {"BackupRefused", "BackupFailed", "AwsUnavailable"}


@QUICK
@given(answers=ANSWERS, steps=st.integers(1, 60))
def test_a_restart_of_all_brokers_replaces_none_before_its_backup(
    answers: list[str], steps: int
) -> None:
    world = RollingWorld(3)
    world.revise(1)
    for number, most in ((1, steps), (2, 2000)):
        gate = Gate(answers if number == 1 else [])
        functions = restart_functions(world)
        functions["TakeBackup"] = gate.take
        functions["RestartService"] = gate.guarded(functions["RestartService"])
        execution = started(
            "restart", number, world, functions, {"clusterName": "demo", "service": "brokers"}
        )
        to_its_end(execution, most)
        assert gate.violations == []
        world.table.locks.clear()
    assert execution.status == "SUCCEEDED", execution.cause


@QUICK
@given(answers=ANSWERS, sees=st.booleans(), half=st.booleans(), steps=st.integers(1, 60))
def test_provisioning_replaces_no_broker_before_its_backup(
    answers: list[str], sees: bool, half: bool, steps: int
) -> None:
    """Whether the change set shows it, and whether the stack was changed before."""
    world = RollingWorld(3)
    world.revise(2 if half else 1)
    for number, most in ((1, steps), (2, 2000)):
        gate = Gate(answers if number == 1 else [])
        functions = provision_functions(world, lambda: world.revise(2))
        functions["TakeBackup"] = gate.take
        if sees and not half and number == 1:
            ready = {
                "status": "READY",
                "changes": 1,
                "needsBackup": True,
                "backup": {"maxAgeHours": 4, "acceptNoBackup": False, "snapshot": False},
                "cluster": dict(world.outputs),
            }
            functions["CheckChangeSet"] = always(ready)
            functions["ExecuteChangeSet"] = gate.guarded(functions["ExecuteChangeSet"])
        # One that broke off goes on: that was begun with a backup.
        begun = len(world.services.describe("", ("orchestration-cluster",))[0].deployments) > 1
        functions["RollServices"] = gate.guarded(functions["RollServices"], always(not begun))
        execution = started("provision", number, world, functions, {"clusterName": "demo"})
        to_its_end(execution, most)
        assert gate.violations == []
        world.table.locks.clear()
    assert execution.status == "SUCCEEDED", execution.cause
    assert world.revisions == {"arn:orchestration-cluster:2"}


def started(
    machine: str,
    number: int,
    world: RollingWorld,
    functions: dict[str, Function],
    asked: dict[str, Any],
) -> Execution:
    known: Mapping[str, str]
    operation: Operation
    operation, known = begins(machine, number, world)
    del operation
    return Execution(machine, functions, asked, on_wait=world.pass_seconds, **known)
