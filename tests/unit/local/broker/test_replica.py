"""What a replica makes of a message that its journal has already, in part or as a whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.broker.replica import Entry, Json, unknown_part

LOG: list[Entry] = [(b"%d" % index, index, (index - 1) // 2) for index in range(3, 9)]


def entry(index: int, term: int) -> Entry:
    return (b"%d" % index, index, term)


def message(at: int, term: int, *entries: Entry, commit: int = 20) -> Json:
    return {
        "type": "append_entries",
        "term": 9,
        "commit_index": commit,
        "entries": list(entries),
        "prevLogIdx": at,
        "prevLogTerm": term,
    }


def after(log: list[Entry], handled: Json) -> list[Entry]:
    """What PySyncObj makes of a message: nothing stays behind `prevLogIdx`."""
    if "prevLogIdx" not in handled:
        return log
    at = handled["prevLogIdx"] - log[0][1]
    if not 0 <= at < len(log) or log[at][2] != handled["prevLogTerm"]:
        return log
    entries: list[Entry] = handled["entries"]
    return log[: at + 1] + entries


def test_what_comes_again_deletes_nothing() -> None:
    handled, agreed = unknown_part(LOG, message(4, 1, entry(5, 2), entry(6, 2)))
    assert agreed == 6
    assert after(LOG, handled) == LOG
    assert handled["commit_index"] == 6, "entries behind it may not be the leader's"


def test_a_beat_from_further_back_deletes_nothing() -> None:
    handled, agreed = unknown_part(LOG, message(4, 1, commit=4))
    assert (agreed, after(LOG, handled)) == (4, LOG)


def test_what_is_new_is_added_behind_what_is_known() -> None:
    handled, agreed = unknown_part(LOG, message(6, 2, *LOG[4:], entry(9, 3)))
    assert agreed == 0
    assert handled["prevLogIdx"] == 8
    assert after(LOG, handled) == [*LOG, entry(9, 3)]


def test_what_differs_takes_the_place_of_what_was_there() -> None:
    handled, agreed = unknown_part(LOG, message(5, 2, entry(6, 2), entry(7, 9)))
    assert agreed == 0
    assert after(LOG, handled) == [*LOG[:4], entry(7, 9)]


@pytest.mark.parametrize("at", [1, 8, 12])
def test_messages_that_meet_nothing_are_left_alone(at: int) -> None:
    given = message(at, 3, entry(at + 1, 9))
    assert unknown_part(LOG, given) == (given, 0)


def test_another_term_before_the_entries_is_left_to_the_leader() -> None:
    given = message(5, 8, entry(6, 8))
    assert unknown_part(LOG, given) == (given, 0)


@given(st.integers(0, 30), st.data())
def test_a_journal_that_agrees_with_the_leader_never_gets_shorter(size: int, data: Any) -> None:
    """Whatever part of the leader's journal comes, in whatever order, as often as it may."""
    leader = [entry(index, index // 4) for index in range(1, size + 2)]
    held = leader[: data.draw(st.integers(1, len(leader)))]
    for _ in range(5):
        at = data.draw(st.integers(0, len(leader) - 1))
        until = data.draw(st.integers(at, len(leader) - 1))
        handled, agreed = unknown_part(
            held, message(at + 1, leader[at][2], *leader[at + 1 : until + 1])
        )
        now = after(held, handled)
        assert len(now) >= len(held)
        assert now == leader[: len(now)]
        assert agreed <= until + 1
        held = now
