"""The planned steps are those that the operations write onto the timeline."""

from __future__ import annotations

from lifecycle.operation.progress import progress
from lifecycle.operation.record import Record
from lifecycle.operation.steps import STEPS
from lifecycle.scaling import decision, partitions


def record(*steps: str) -> Record:
    timeline = [{"step": step, "at": "2026-01-01T00:00:00Z"} for step in steps]
    return Record(
        "demo.x.k", "demo", "x", "arn", "", step=steps[-1] if steps else "", timeline=timeline
    )


def test_the_phases_of_scaling_are_its_planned_steps() -> None:
    phases = {*decision.PHASE.values(), *partitions._PHASE.values()}
    assert phases <= set(STEPS["scale"])
    assert len(phases) >= 3


def test_steps_before_the_present_one_are_done_even_if_they_were_skipped() -> None:
    first, *_, last = STEPS["provision"]
    assert progress(record(), "provision", "RUNNING")["done"] == 0
    assert progress(record(first), "provision", "RUNNING")["done"] == 0
    assert progress(record(first, last), "provision", "RUNNING")["done"] == 6
    assert progress(record(first, last), "provision", "SUCCEEDED")["done"] == 7


def test_going_back_does_not_undo_what_was_done() -> None:
    steps = STEPS["scale"]
    told = progress(record(steps[2], steps[1]), "scale", "RUNNING")
    assert (told["done"], told["planned"], told["step"]) == (2, 6, steps[1])


def test_a_step_outside_the_plan_counts_for_nothing() -> None:
    first = STEPS["provision"][3]
    told = progress(record(first, "Counts go back to zero"), "provision", "FAILED")
    assert (told["done"], told["step"]) == (3, "Counts go back to zero")


def test_a_machine_without_planned_steps_tells_what_it_did() -> None:
    told = progress(record("a", "b"), "plan", "RUNNING")
    assert (told["done"], told["planned"]) == (1, None)
    assert progress(None, "plan", "SUCCEEDED")["timeline"] == []
