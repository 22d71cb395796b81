"""The planned steps are those that the operations write onto the timeline."""

from __future__ import annotations

from lifecycle.operation.progress import progress
from lifecycle.operation.record import Record
from lifecycle.operation.steps import PHASES, STEPS
from lifecycle.provisioning import (
    change_set as change_stack,
)
from lifecycle.provisioning import (
    roll_services,
    seed_database,
    start_services,
)
from lifecycle.restart import restart_services
from lifecycle.teardown import steps as tear_down
from lifecycle.verification import verify as verify_cluster


def record(*steps: str) -> Record:
    timeline = [{"step": step, "at": "2026-01-01T00:00:00Z"} for step in steps]
    return Record(
        "demo.x.k", "demo", "x", "arn", "", step=steps[-1] if steps else "", timeline=timeline
    )


def test_steps_are_named_as_the_operations_name_them() -> None:
    assert STEPS["provision"] == (
        change_stack._STEP,
        change_stack._FOLLOW,
        seed_database.STEP,
        start_services.STEP,
        roll_services.STEP,
        verify_cluster.STEP,
    )
    assert STEPS["teardown"] == (tear_down.STOP, tear_down.EMPTY, tear_down.DELETE)
    assert STEPS["scale"] == PHASES
    assert STEPS["restart"] == (restart_services.STEP, verify_cluster.STEP)


def test_steps_before_the_present_one_are_done_even_if_they_were_skipped() -> None:
    first, *_, last = STEPS["provision"]
    assert progress(record(), "provision", "RUNNING")["done"] == 0
    assert progress(record(first), "provision", "RUNNING")["done"] == 0
    assert progress(record(first, last), "provision", "RUNNING")["done"] == 5
    assert progress(record(first, last), "provision", "SUCCEEDED")["done"] == 6


def test_going_back_does_not_undo_what_was_done() -> None:
    steps = STEPS["scale"]
    told = progress(record(steps[2], steps[1]), "scale", "RUNNING")
    assert (told["done"], told["planned"], told["step"]) == (2, 5, steps[1])


def test_a_step_outside_the_plan_counts_for_nothing() -> None:
    first = STEPS["provision"][3]
    told = progress(record(first, "Counts go back to zero"), "provision", "FAILED")
    assert (told["done"], told["step"]) == (3, "Counts go back to zero")


def test_a_machine_without_planned_steps_tells_what_it_did() -> None:
    told = progress(record("a", "b"), "plan", "RUNNING")
    assert (told["done"], told["planned"]) == (1, None)
    assert progress(None, "plan", "SUCCEEDED")["timeline"] == []
