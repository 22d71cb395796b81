"""Totals until an instant: what is counted, and what a difference means."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from lifecycle.cluster.checks import Result
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.rehearsal.ports import Count
from lifecycle.rehearsal.probe import RehearsalProber
from lifecycle.rehearsal.totals import (
    KINDS,
    WINDOWS,
    as_state,
    compare,
    equal,
    queries,
    queries_after,
    read_counts,
)

from tests.fakes.identity import logins
from tests.fakes.processes import FakeProcesses
from tests.support.world import OUTPUTS, Admins

AT = datetime(2026, 1, 8, 12, tzinfo=UTC)
STARTED = "process instances started"
EVERY = {one.key: Count(5) for one in queries(AT)}


def result(live: dict[str, Count], copy: dict[str, Count], kind: str = STARTED) -> tuple[str, str]:
    found = {one.name: one for one in compare({**EVERY, **live}, {**EVERY, **copy})}
    assert found.keys() == KINDS.keys()
    return found[kind].result.value, found[kind].seen


def started(total: int, window: str = "all time", *, more: bool = False) -> dict[str, Count]:
    return {f"{STARTED}, {window}": Count(total, more)}


def test_each_moment_is_counted_until_shortly_before_the_instant_and_in_times_before_it() -> None:
    found = {one.key: one for one in queries(AT)}
    assert len(found) == 1 + 5 * 6
    assert found["process instances completed, the last hour"].wanted == {
        "state": "COMPLETED",
        "endDate": {"$lte": "2026-01-08T11:59:59.000Z", "$gt": "2026-01-08T10:59:59.000Z"},
    }
    assert found[f"{STARTED}, all time"].wanted == {
        "startDate": {"$lte": "2026-01-08T11:59:59.000Z"}
    }
    assert found["process definitions, all time"].wanted == {}
    assert "process definitions, the last hour" not in found


def test_what_came_after_an_instant_is_counted_by_its_moment() -> None:
    found = {one.kind: one for one in queries_after(AT)}
    assert found.keys() == KINDS.keys() - {"process definitions"}
    assert found["process instances completed"].wanted == {
        "state": "COMPLETED",
        "endDate": {"$gt": "2026-01-08T12:00:00.000Z"},
    }


def test_counts_survive_a_state_machine() -> None:
    counts = {"a": Count(3), "b": Count(10_000, more=True)}
    assert as_state(counts) == {"a": 3, "b": "10000+"}
    assert read_counts(json.loads(json.dumps(as_state(counts)))) == counts


def test_the_same_totals_pass() -> None:
    assert {one.result for one in compare(EVERY, EVERY)} == {Result.PASS}
    assert equal(EVERY, EVERY)


def test_fewer_in_the_copy_are_lost() -> None:
    assert result(started(5), started(4)) == ("FAIL", "the copy has fewer: all time 4 instead of 5")
    assert not equal(EVERY, {**EVERY, **started(4)})


def test_fewer_shortly_before_the_instant_are_found_behind_a_total_that_is_not_counted() -> None:
    capped = started(10_000, more=True)
    live = {**capped, **started(12, "the last hour")}
    copy = {**capped, **started(11, "the last hour")}
    assert result(live, copy)[0] == "FAIL"
    found, seen = result(live, live)
    assert found == "PASS"
    assert seen.startswith("the same: the last minute 5; the last 10 minutes 5; the last hour 12; ")
    assert seen.endswith("all time at least 10000 in both, not counted further")


def test_an_exact_total_below_a_lower_bound_is_fewer() -> None:
    assert result(started(10_000, more=True), started(9_000)) == (
        "FAIL",
        "the copy has fewer: all time 9000 instead of at least 10000",
    )
    assert result(started(9_000), started(10_000, more=True))[0] == "WARN"
    assert result(started(10_000), started(10_000, more=True))[0] == "WARN"
    assert result(started(10_000, more=True), started(10_000))[0] == "FAIL"


def test_more_in_the_copy_were_deleted_from_the_cluster_since() -> None:
    found, seen = result(started(3), started(5))
    assert found == "WARN"
    assert "deleted from the cluster since" in seen


def test_definitions_that_the_copy_lacks_may_be_newer_than_it() -> None:
    found, seen = result({}, {"process definitions, all time": Count(4)}, "process definitions")
    assert found == "WARN"
    assert seen == "the copy has all time 4 instead of 5: deployed since"


def test_what_was_not_counted_is_unknown_not_equal() -> None:
    live: dict[str, Any] = dict(EVERY)
    del live[f"{STARTED}, the last day"]
    found = {one.name: one for one in compare(live, EVERY)}[STARTED]
    assert found.result is Result.WARN
    assert "unknown (not counted: the last day)" in found.seen
    capped = {f"{STARTED}, {one}": Count(10_000, more=True) for one in WINDOWS}
    assert result(capped, capped)[0] == "WARN"


class Looks:
    """Looks one after the other, through JSON."""

    def __init__(self) -> None:
        self.processes = FakeProcesses(3, counts={"incidents": Count(2)})
        self.seconds = 0.0
        self.per_call = 0.0
        self.known: dict[str, Any] = {}

    def monotonic(self) -> float:
        self.seconds += self.per_call
        return self.seconds

    def look(self) -> dict[str, Any]:
        prober = RehearsalProber(lambda _: self.processes, logins(Admins()), self.monotonic)
        answer = prober.count(
            ClusterOutputs(OUTPUTS), until="2026-01-08T12:00:00.000Z", known=self.known
        )
        self.known = json.loads(json.dumps(answer["counts"]))
        return answer


@pytest.fixture
def looks() -> Looks:
    return Looks()


def test_everything_is_counted_in_one_look_where_there_is_time(looks: Looks) -> None:
    answer = looks.look()
    assert (answer["complete"], answer["problem"]) == (True, "")
    assert answer["counts"]["incidents created, all time"] == 2


def test_a_slow_database_is_counted_in_several_looks_and_nothing_twice(looks: Looks) -> None:
    looks.per_call = 5.0
    answers = [looks.look() for _ in range(16)]
    assert not answers[0]["complete"]
    assert answers[-1]["complete"]
    assert len(looks.processes.counted) == len(set(looks.processes.counted)) == len(EVERY)


def test_a_search_that_fails_is_no_zero(looks: Looks) -> None:
    looks.processes.unsearchable = "HTTP 503: the database."
    answer = looks.look()
    assert answer == {"counts": {}, "complete": False, "problem": "HTTP 503: the database"}
    looks.processes.unsearchable = ""
    assert looks.look()["complete"]
