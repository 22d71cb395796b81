from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lifecycle.plans.fingerprint import Fingerprint, PlanDescription, differences, read_description

WORD = st.text(max_size=8)
FINGERPRINTS = st.builds(
    Fingerprint,
    template=WORD,
    definitions=WORD,
    parameters=st.dictionaries(WORD, WORD, max_size=4),
    counts=st.dictionaries(WORD, st.integers(0, 30), max_size=2),
    deployments=st.dictionaries(WORD, WORD, max_size=2),
    stack=WORD,
    changed_at=WORD,
    role=WORD,
)


@given(FINGERPRINTS, FINGERPRINTS)
def test_prints_are_equal_where_nothing_differs_and_only_there(
    one: Fingerprint, other: Fingerprint
) -> None:
    same = one == other
    assert (one.digest() == other.digest()) == same
    assert (differences(one, other) == []) == same


@given(
    FINGERPRINTS, st.sampled_from(["template", "definitions", "stack", "changed_at", "role"]), WORD
)
def test_any_change_of_one_part_is_seen(one: Fingerprint, part: str, value: str) -> None:
    changes: dict[str, Any] = {part: value}
    other = replace(one, **changes)
    assert bool(differences(one, other)) == (getattr(one, part) != value)


@given(FINGERPRINTS, st.randoms())
def test_the_order_in_which_things_are_named_does_not_matter(one: Fingerprint, random: Any) -> None:
    names = list(one.parameters)
    random.shuffle(names)
    assert replace(one, parameters={n: one.parameters[n] for n in names}).digest() == one.digest()


@given(FINGERPRINTS)
def test_a_print_survives_being_stored(one: Fingerprint) -> None:
    assert Fingerprint.from_json(json.loads(json.dumps(asdict(one)))) == one


@given(
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.replace(microsecond=0, fold=0)),
    st.from_regex(r"[a-z][a-z0-9-]{1,18}\.plan\.[A-Za-z0-9_-]{1,40}", fullmatch=True),
)
def test_a_mark_survives_being_a_description(digest: str, at: Any, operation: str) -> None:
    found = read_description(str(PlanDescription(digest, at, operation)))
    assert (found.digest, found.operation_id) == (digest, operation)
    assert found.made_at.utcoffset() == at.utcoffset()
    assert found.made_at.replace(tzinfo=None) == at.replace(tzinfo=None)
