from __future__ import annotations

from typing import Any

import pytest
from lifecycle.camunda.exporting import judge_exporting

TOPOLOGY = [
    {"host": "10.0.0.1", "partitions": {"1": {"role": "leader"}, "2": {"role": "follower"}}},
    {"host": "10.0.0.2", "partitions": {"1": {"role": "follower"}}},
]


def answer(processed: Any, exported: Any, **others: Any) -> list[dict[str, Any]]:
    one = {
        "role": "LEADER",
        "exporterPhase": "EXPORTING",
        "processedPosition": processed,
        "exportedPosition": exported,
    }
    return [{"address": "10.0.0.1", "problem": "", "partitions": {"1": one | others}}]


@pytest.mark.parametrize(
    ("processed", "exported"), [(0, 0), (7, 7), (7, 9), (None, None), (-1, -1)]
)
def test_what_is_idle_or_exported_follows(processed: Any, exported: Any) -> None:
    judged = judge_exporting(TOPOLOGY, answer(processed, exported), {})
    assert (judged.problems, judged.notes) == ((), {"1": ["10.0.0.1", None]})


def test_a_few_records_after_everything_was_exported_are_no_problem() -> None:
    notes = judge_exporting(TOPOLOGY, answer(100, 100), {}).notes
    for processed, exported in [(110, 100), (120, 112), (120, 120), (131, 130), (140, 131)]:
        judged = judge_exporting(TOPOLOGY, answer(processed, exported), notes)
        assert judged.problems == ()
        notes = judged.notes


def test_one_that_stops_after_everything_was_exported_is_found_at_the_third_check() -> None:
    notes = judge_exporting(TOPOLOGY, answer(100, 100), {}).notes
    second = judge_exporting(TOPOLOGY, answer(110, 100), notes)
    assert second.problems == ()
    assert second.notes == {"1": ["10.0.0.1", 110]}
    third = judge_exporting(TOPOLOGY, answer(120, 109), second.notes)
    assert third.problems == ("partition 1 exported up to 109, and processed up to 120",)


def test_another_leader_does_not_inherit_that_everything_was_exported() -> None:
    assert judge_exporting(TOPOLOGY, answer(100, 60), {"1": ["10.0.0.9", None]}).problems


def test_an_exporter_without_a_position_is_a_problem_though_nothing_was_left_before() -> None:
    notes = judge_exporting(TOPOLOGY, answer(-1, -1), {}).notes
    assert judge_exporting(TOPOLOGY, answer(5, -1), notes).problems


def test_one_that_is_behind_follows_when_it_reaches_what_was_noted() -> None:
    first = judge_exporting(TOPOLOGY, answer(100, 60), {})
    assert first.problems == ("partition 1 exported up to 60, and processed up to 100",)
    second = judge_exporting(TOPOLOGY, answer(200, 99), first.notes)
    assert second.problems
    third = judge_exporting(TOPOLOGY, answer(300, 100), second.notes)
    assert third.problems == ()
    assert third.notes == {"1": ["10.0.0.1", 100]}


def test_a_note_is_of_one_leader() -> None:
    assert judge_exporting(TOPOLOGY, answer(100, 60), {"1": ["10.0.0.9", 10]}).problems


@pytest.mark.parametrize("exported", [None, -1])
def test_nothing_exported_of_what_was_processed_is_no_success(exported: Any) -> None:
    judged = judge_exporting(TOPOLOGY, answer(5, exported), {})
    assert "exported nothing" in judged.problems[0]
    assert judge_exporting(TOPOLOGY, answer(9, exported), judged.notes).problems


@pytest.mark.parametrize("phase", ["PAUSED", "SOFT_PAUSED", "CLOSED", "", None])
def test_a_phase_other_than_exporting_is_told(phase: Any) -> None:
    judged = judge_exporting(TOPOLOGY, answer(5, 5, exporterPhase=phase), {})
    assert (phase or "not known") in judged.problems[0]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (None, "could not be read"),
        ([], "its leader was not queried"),
        ([{"address": "10.0.0.1", "problem": "10.0.0.1: refused", "partitions": None}], "refused"),
        (
            [{"address": "10.0.0.1", "problem": "", "partitions": {}}],
            "does not report that it leads",
        ),
        (answer(5, 5, role="FOLLOWER"), "does not report that it leads"),
        (answer("five", 5), "could not be read"),
    ],
)
def test_what_was_not_read_is_not_good(told: Any, why: str) -> None:
    judged = judge_exporting(TOPOLOGY, told, {"1": ["10.0.0.1", 1]})
    assert why in judged.problems[0]
