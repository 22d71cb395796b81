"""Whatever a source answers, a check gives a verdict, and never a good one it has no reason for."""

from __future__ import annotations

import copy
import json
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifecycle.camunda.fan_out import query_all
from lifecycle.camunda.partitions import read_backup_state, read_partitions
from lifecycle.errors import InvalidResponse
from lifecycle.health.catalog import KINDS, Severity, Verdict, rank
from lifecycle.health.facts import MEASURED
from lifecycle.health.rules import Finding
from lifecycle.health.verdict import confirmed_verdict, next_notified, verdict

from tests.support.health import HealthWorld

WELL_INSIDE, WELL_OUTSIDE = HealthWorld().look()
# Sorted, because the answers stand in the order in which they came.
SOURCES = [("inside", name) for name in sorted(WELL_INSIDE["answers"])] + [
    ("outside", name) for name in sorted(WELL_OUTSIDE["answers"])
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def sides() -> dict[str, Any]:
    return {"inside": copy.deepcopy(WELL_INSIDE), "outside": copy.deepcopy(WELL_OUTSIDE)}


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, the whole of it among them."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [at] + [path for key, item in inner for path in paths(item, (*at, key))]


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


@given(answer=JSON, side=st.sampled_from(["inside", "outside"]))
def test_a_side_that_answers_anything_else_is_not_healthy(answer: Any, side: str) -> None:
    report = HealthWorld().check(**{side: answer})
    assert report["verdict"] != "HEALTHY"


@pytest.mark.parametrize(("side", "source"), SOURCES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_a_source_that_answers_garbage_is_never_a_crash(
    side: str, source: str, data: st.DataObject
) -> None:
    seen = sides()
    document = seen[side]["answers"][source]
    path = data.draw(st.sampled_from(paths(document)))
    seen[side]["answers"][source] = replaced(document, path, data.draw(JSON))
    report = HealthWorld().check(**seen)
    assert report["verdict"] in {"HEALTHY", "DEGRADED", "DOWN"}
    json.dumps(report)


@pytest.mark.parametrize(
    ("side", "source"), [(side, name) for side, name in SOURCES if name not in MEASURED]
)
@pytest.mark.parametrize("what", ["absent", "a problem", "text", "half"])
def test_a_source_that_says_nothing_usable_is_never_healthy(
    side: str, source: str, what: str
) -> None:
    seen = sides()
    document = seen[side]["answers"].pop(source)
    if what == "a problem":
        seen[side]["problems"][source] = "no answer within 8 s"
    elif what == "text":
        seen[side]["answers"][source] = "<html>502 Bad Gateway</html>"
    elif what == "half":
        # Half a document does not parse; what the readers then get is its text.
        text = json.dumps(document)
        seen[side]["answers"][source] = text[: len(text) // 2]
    assert HealthWorld().check(**seen)["verdict"] != "HEALTHY"


@given(answer=JSON)
def test_the_readers_of_brokers_refuse_what_they_cannot_read(answer: Any) -> None:
    for read in (read_partitions, read_backup_state):
        try:
            read(answer)
        except InvalidResponse:
            continue


def findings() -> st.SearchStrategy[list[Finding]]:
    def finding(code: str, explained_by: str, transient: str) -> Finding:
        severity = Severity.INFO if explained_by else KINDS[code].severity
        return Finding(code, severity, "seen", explained_by=explained_by, transient=transient)

    return st.lists(
        st.builds(
            finding,
            st.sampled_from(sorted(KINDS)),
            st.sampled_from(["", "demo.scale.1 is under way"]),
            st.sampled_from(["", "task x is starting"]),
        ),
        max_size=6,
    )


@given(found=findings(), more=findings())
def test_more_findings_never_make_a_better_verdict(
    found: list[Finding], more: list[Finding]
) -> None:
    assert rank(verdict(found + more)) >= rank(verdict(found))
    assert rank(confirmed_verdict(found)) <= rank(verdict(found))


@given(
    notified=st.sampled_from(Verdict),
    confirmed=st.lists(st.sampled_from(Verdict), min_size=1, max_size=6),
)
def test_only_what_was_seen_twice_is_announced(notified: Verdict, confirmed: list[Verdict]) -> None:
    at = HealthWorld().clock.at
    then = next_notified(notified, confirmed, (), at)
    if then is not notified:
        assert len(confirmed) >= 2
        # On the same side of what was announced, and not beyond both.
        assert min(map(rank, confirmed[:2])) <= rank(then) <= max(map(rank, confirmed[:2]))


@given(kinds=st.lists(st.sampled_from(["answers", "raises", "hangs"]), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_sources_that_hang_or_raise_hide_no_other(kinds: list[str]) -> None:
    release = threading.Event()

    def source(kind: str) -> Any:
        def ask() -> str:
            if kind == "raises":
                raise RuntimeError("a text that may hold what must not be told")
            if kind == "hangs":
                release.wait(10)
            return "answer"

        return ask

    try:
        results = query_all(
            {f"{n}-{kind}": source(kind) for n, kind in enumerate(kinds)}, seconds=0.05
        )
    finally:
        release.set()
    assert {name.split("-")[1] for name in results.answers} <= {"answers"}
    assert set(results.answers) | set(results.problems) == {f"{n}-{k}" for n, k in enumerate(kinds)}
    assert "must not be results" not in json.dumps(results.as_dict())
