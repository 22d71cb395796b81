"""Rehearsals that a cluster's schedule starts, on the real definition."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.freeze import TAG_FROZEN, Freeze
from lifecycle.operation.model import Operation
from lifecycle.rehearsal.request import lock_name

from tests.statemachines.test_rehearse import Rehearse
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from lifecycle.cluster.stack import Stack

    from tests.support.rehearsal import RehearsalWorld

NAME = f"{CONTROL}-demo"
SCHEDULED: dict[str, Any] = {"scheduledAt": "2026-03-07T04:00:00Z"}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Rehearse:
    return Rehearse(monkeypatch)


def held(world: RehearsalWorld, ecs_cluster: str) -> Operation:
    """An operation that holds an ECS cluster and runs."""
    made = Operation(
        operation_id="demo.scale.1",
        execution_arn="arn:execution:demo:scale:1",
        cluster="demo",
        machine="scale",
        started_at=world.clock.now().isoformat(),
        ecs_cluster=ecs_cluster,
    )
    world.journal.begin(made)
    return made


def present(world: RehearsalWorld) -> Stack:
    return world.stacks.stacks[NAME]


def test_a_schedule_rehearses(machine: Rehearse) -> None:
    result = machine.run(**SCHEDULED)
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["rehearsal"]["result"] == "PASS"


def test_while_another_operation_holds_the_cluster_it_is_left_out(machine: Rehearse) -> None:
    world = machine.world
    other = held(world, present(world).outputs.ecs_cluster)
    result = machine.run(**SCHEDULED)
    assert (result.status, result.calls) == ("SUCCEEDED", ["ValidateRehearsal"])
    assert result.output["skipped"]["error"] == "ClusterBusy"
    assert other.operation_id in result.output["skipped"]["cause"]
    assert world.children.order == []
    assert world.questions == []


def test_the_request_of_a_person_waits_for_that_operation(machine: Rehearse) -> None:
    world = machine.world
    held(world, present(world).outputs.ecs_cluster)
    # In memory, only what a child meets is busy.
    assert machine.run().status == "SUCCEEDED"


def test_a_lock_that_has_expired_leaves_nothing_out(machine: Rehearse) -> None:
    world = machine.world
    held(world, present(world).outputs.ecs_cluster)
    ((name, lock),) = world.table.locks.items()
    world.clock.pass_seconds(lock.expires_at - int(world.clock.now().timestamp()))
    assert name == lock.ecs_cluster
    assert "rehearsal" in machine.run(**SCHEDULED).output


def test_a_rehearsal_that_runs_leaves_the_next_one_out(machine: Rehearse) -> None:
    world = machine.world
    held(world, lock_name(present(world).name))
    assert machine.run(**SCHEDULED).output["skipped"]["error"] == "ClusterBusy"
    assert machine.run(2).error == "ClusterBusy"


def freeze_by_tag(world: RehearsalWorld) -> None:
    stack = present(world)
    world.stacks.stacks[NAME] = replace(stack, tags={**stack.tags, TAG_FROZEN: "audit"})


def freeze_by_request(world: RehearsalWorld) -> None:
    freeze = Freeze(reason="audit", by="a-person", since=world.clock.now().isoformat())
    world.table.freeze(present(world).outputs.ecs_cluster, freeze)


@pytest.mark.parametrize("freeze", [freeze_by_tag, freeze_by_request])
def test_a_frozen_cluster_is_left_out_before_anything_is_planted(
    machine: Rehearse, freeze: Any
) -> None:
    freeze(machine.world)
    result = machine.run(**SCHEDULED)
    assert (result.status, result.calls) == ("SUCCEEDED", ["ValidateRehearsal"])
    assert result.output["skipped"]["error"] == "ClusterFrozen"
    refused = machine.run(2)
    assert refused.error == "ClusterFrozen"
    assert "audit" in json.loads(refused.cause)["cause"]
    assert machine.world.questions == []


def test_so_is_one_whose_stack_is_being_changed(machine: Rehearse) -> None:
    world = machine.world
    world.stacks.stacks[NAME] = replace(present(world), status="UPDATE_IN_PROGRESS")
    assert machine.run(**SCHEDULED).output["skipped"]["error"] == "StackNotUsable"
    assert machine.run(2).error == "StackNotUsable"
    assert world.questions == []


def test_what_fails_fails_also_by_schedule(machine: Rehearse) -> None:
    machine.world.children.ends["backup"] = "FAILED"
    assert machine.run(**SCHEDULED).error == "RehearsalFailed"


def test_a_trial_that_is_left_is_not_left_out(machine: Rehearse) -> None:
    machine.world.make_trial()
    assert machine.run(**SCHEDULED).error == "RehearsalRefused"


def test_what_it_showed_is_left_for_health_and_restores(machine: Rehearse) -> None:
    world = machine.world
    assert machine.run().status == "SUCCEEDED"
    note = world.table.rehearsal("demo")
    assert note is not None
    assert (note.operation_id, note.result, note.failed) == ("demo.rehearse.1", "PASS", False)
    assert note.at == world.clock.now()
    measured = note.measured
    assert measured is not None
    assert (measured.seconds, measured.objects, measured.size) == (720, 12, 3456)
    # One that fails is the last one; what was measured before it stands.
    world.children._seen.clear()
    world.clock.pass_seconds(60)
    world.children.ends["backup"] = "FAILED"
    assert machine.run(2).error == "RehearsalFailed"
    failed = world.table.rehearsal("demo")
    assert failed is not None
    assert (failed.operation_id, failed.failed) == ("demo.rehearse.2", True)
    assert "ended as FAILED" in failed.failure
    assert failed.measured == measured


@pytest.mark.parametrize(("status", "left"), [("TIMED_OUT", "FAIL"), ("ABORTED", None)])
def test_one_that_times_out_has_failed_and_one_that_was_stopped_has_shown_nothing(
    machine: Rehearse, status: str, left: str | None
) -> None:
    world = machine.world
    operation = Operation(
        operation_id="demo.rehearse.9",
        execution_arn="arn:execution:demo:rehearse:9",
        cluster="demo",
        machine="rehearse",
        started_at=world.clock.now().isoformat(),
        ecs_cluster=lock_name(NAME),
    )
    world.journal.begin(operation)
    world.finisher.close(operation, request={}, status=status, error="", cause="")
    note = world.table.rehearsal("demo")
    assert (note.result if note is not None else None) == left


@pytest.mark.parametrize("given", ["", "tomorrow", 1, None, "2026-03-07"])
def test_its_time_is_the_schedules(machine: Rehearse, given: Any) -> None:
    assert machine.run(scheduledAt=given).error == "InvalidRequest"
