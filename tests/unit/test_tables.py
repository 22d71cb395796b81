"""Rows under one head: nothing is lost, and it is smaller."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.tables import packed, unpacked

KEYS = st.sampled_from(["id", "role", "rows", "columns", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=30,
)


@given(JSON)
def test_what_was_packed_is_given_back(value: Any) -> None:
    carried = json.loads(json.dumps(packed(value)))
    assert unpacked(carried) == value


@pytest.mark.parametrize(
    ("value", "table"),
    [
        (
            [{"id": 1, "role": "LEADER"}, {"id": 2, "role": "FOLLOWER"}],
            {"#columns": ["id", "role"], "#rows": [[1, "LEADER"], [2, "FOLLOWER"]]},
        ),
        (
            {"1": {"role": "LEADER"}, "2": {"role": "FOLLOWER"}},
            {"#columns": ["role"], "#rows": {"1": ["LEADER"], "2": ["FOLLOWER"]}},
        ),
        ([{"id": 1}, {"role": "LEADER"}], [{"id": 1}, {"role": "LEADER"}]),
        ([{"id": 1}], [{"id": 1}]),
        ([], []),
    ],
)
def test_objects_of_the_same_keys_become_rows(value: Any, table: Any) -> None:
    assert packed(value) == table
