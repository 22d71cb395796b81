"""What `make mutation` makes of a change and of the tests that run its line."""

from __future__ import annotations

from dataclasses import replace

from tools.mutation import SOURCE, Change, Outcome, difference, held_by, known, sample

CHANGE = Change(f"{SOURCE}/services/rolling.py", "core/AddNot", 0, 3)
RUN = {CHANGE.module: {3: ["tests/a.py::one"], 9: ["tests/b.py::two"]}}


def test_a_change_is_held_by_the_tests_that_run_its_line() -> None:
    assert held_by(CHANGE, RUN, {}) == ["tests/a.py::one"]


def test_a_constant_is_held_by_the_tests_that_run_its_module() -> None:
    constant = Change(CHANGE.module, CHANGE.operator, 0, 1)
    assert held_by(constant, RUN, {CHANGE.module: ["tests/c.py"]}) == [
        "tests/a.py::one",
        "tests/b.py::two",
        "tests/c.py",
    ]


def test_what_no_test_runs_is_held_by_none() -> None:
    assert held_by(Change(f"{SOURCE}/core/other.py", "core/AddNot", 0, 3), RUN, {}) == []


def test_only_the_very_change_is_known_to_be_equivalent() -> None:
    before, after = difference("a\n    if one:\n", "a\n    if not one:\n")
    assert (before, after) == ("if one:", "if not one:")
    outcome = Outcome(CHANGE, before, after, noticed=False)
    listed = [{"module": "services/rolling.py", "before": before, "after": after, "why": "never"}]
    assert known(outcome, listed) == "never"
    assert known(outcome, [{**listed[0], "after": "if two:"}]) == ""
    assert known(outcome, [{**listed[0], "module": "core/other.py"}]) == ""


def test_a_seed_draws_the_same_changes_whatever_else_changed() -> None:
    every = [Change("a.py", "core/AddNot", at, at, f"if found[{at}]:") for at in range(100)]
    drawn = sample(every, 1, 10)
    moved = [replace(one, module="b.py", line=one.line + 7) for one in reversed(every)]
    assert [one.text for one in sample(moved, 1, 10)] == [one.text for one in drawn]
    assert [one.text for one in sample(every, 2, 10)] != [one.text for one in drawn]
