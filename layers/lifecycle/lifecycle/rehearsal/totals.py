"""Totals of a cluster at an instant, and those of its copy: the same searches on both.

States move on, moments do not: an instance that was started, completed or cancelled until the
instant still has that moment afterwards. So both are asked later, for what was until the instant.

Camunda counts up to 10,000 by default and reports that there are more
(``camunda.data.secondary-storage.rdbms.query.max-total-hits``, ``hasMoreTotalItems``):
https://docs.camunda.io/docs/self-managed/deployment/helm/configure/database/rdbms-search-and-result-limits/
So each total is also counted for times shortly before the instant, where a backup lacks
something first. Filters: camunda/camunda, ``zeebe/gateway-protocol/src/main/proto/v2``.

A backup ends with the record of its checkpoint, of which it has the time (camunda/camunda,
``CheckpointCreateProcessor``), and moments have milliseconds: records of the same millisecond may
follow it that are in no backup, and a new leader's clock may be behind. So the count ends shortly
before the instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.checks import Check, Result
from lifecycle.rehearsal.ports import Count
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The time before the instant, and how people call it; None: all of it.
WINDOWS: Final[Mapping[str, timedelta | None]] = {
    "the last minute": timedelta(minutes=1),
    "the last 10 minutes": timedelta(minutes=10),
    "the last hour": timedelta(hours=1),
    "the last day": timedelta(days=1),
    "the last 7 days": timedelta(days=7),
    "all time": None,
}
_ALL: Final = "all time"
# What happened so shortly before a checkpoint is not compared.
EDGE: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is counted: a search, its fixed filter, and the field with the moment that counts."""

    what: str
    moment: str = ""
    state: str = ""


KINDS: Final[Mapping[str, Kind]] = {
    "process definitions": Kind("process-definitions"),
    "process instances started": Kind("process-instances", "startDate"),
    "process instances completed": Kind("process-instances", "endDate", "COMPLETED"),
    "process instances cancelled": Kind("process-instances", "endDate", "TERMINATED"),
    "incidents created": Kind("incidents", "creationTime"),
    "user tasks created": Kind("user-tasks", "creationDate"),
}


@dataclass(frozen=True, slots=True)
class Query:
    """One search that is counted."""

    kind: str
    window: str
    what: str
    wanted: Mapping[str, object]

    @property
    def key(self) -> str:
        """Name of its result."""
        return f"{self.kind}, {self.window}"


def queries(until: datetime) -> Iterator[Query]:
    """Give the searches for what was until ``EDGE`` before an instant.

    Definitions have no moment: a copy has no more of them.
    """
    end = until - EDGE
    for name, kind in KINDS.items():
        for window, length in WINDOWS.items():
            wanted: dict[str, object] = {"state": kind.state} if kind.state else {}
            if kind.moment:
                moments = {"$lte": written(end)}
                if length is not None:
                    moments["$gt"] = written(end - length)
                wanted[kind.moment] = moments
            elif length is not None:
                continue
            yield Query(name, window, kind.what, wanted)


def queries_after(since: datetime) -> Iterator[Query]:
    """Give the searches for what came after an instant, until now; definitions have no moment."""
    for name, kind in KINDS.items():
        if kind.moment:
            state: dict[str, object] = {"state": kind.state} if kind.state else {}
            wanted = {**state, kind.moment: {"$gt": written(since)}}
            yield Query(name, "until now", kind.what, wanted)


def as_state(counts: Mapping[str, Count]) -> dict[str, Any]:
    """Return counts as a state machine carries them: a number, or ``10000+``."""
    return {key: f"{one.total}+" if one.more else one.total for key, one in sorted(counts.items())}


def read_counts(state: Mapping[str, Any]) -> dict[str, Count]:
    """Read what ``as_state`` gave."""
    return {
        key: Count(int(str(value).removesuffix("+")), str(value).endswith("+"))
        for key, value in state.items()
    }


def compare(live: Mapping[str, Count], copy: Mapping[str, Count]) -> list[Check]:
    """Compare both by kind. ``live`` is the cluster that was copied.

    Less in the copy is lost. More in the copy was deleted from the live cluster since, as history
    is after its time, or its exporters are behind; more definitions than in the copy may have been
    deployed since.
    """
    return [_compare(name, live, copy) for name in KINDS]


def equal(live: Mapping[str, Count], copy: Mapping[str, Count]) -> bool:
    """Whether another look is needless: no kind differs."""
    return all(one.result is not Result.FAIL for one in compare(live, copy))


def _compare(kind: str, live: Mapping[str, Count], copy: Mapping[str, Count]) -> Check:
    same: list[str] = []
    beyond: list[str] = []
    less: list[str] = []
    more: list[str] = []
    missing: list[str] = []
    for window in WINDOWS:
        key = f"{kind}, {window}"
        if not KINDS[kind].moment and window != _ALL:
            continue
        ours, theirs = live.get(key), copy.get(key)
        if ours is None or theirs is None:
            missing.append(window)
        elif ours.more and theirs.more:
            beyond.append(f"{window} at least {min(ours.total, theirs.total)}")
        elif _order(theirs) < _order(ours):
            less.append(f"{window} {_number(theirs)} instead of {_number(ours)}")
        elif _order(theirs) > _order(ours):
            more.append(f"{window} {_number(theirs)} instead of {_number(ours)}")
        else:
            same.append(f"{window} {ours.total}")
    definitions = not KINDS[kind].moment
    if less and not definitions:
        return Check(
            kind,
            Result.FAIL,
            f"the copy has fewer: {'; '.join(less)}",
            "Do not rely on this backup: compare the instant of the database with the backup's, "
            "and check whether the copy's exporters have caught up.",
        )
    if more or less:
        why = (
            "deployed since"
            if less
            else "deleted from the cluster since, as old history is, or not exported there yet"
        )
        return Check(kind, Result.WARN, f"the copy has {'; '.join(less or more)}: {why}", "None.")
    if missing or not same:
        seen = f"not counted: {', '.join(missing)}" if missing else f"{'; '.join(beyond)}, each"
        return Check(
            kind,
            Result.WARN,
            f"whether the copy has all of them is unknown ({seen})",
            "Compare a few of them by hand.",
        )
    rest = f"; {'; '.join(beyond)} in both, not counted further" if beyond else ""
    return Check(kind, Result.PASS, f"the same: {'; '.join(same)}{rest}")


def _order(count: Count) -> tuple[int, bool]:
    """A lower bound is more than the same number: Camunda found at least one beyond it."""
    return count.total, count.more


def _number(count: Count) -> str:
    return f"at least {count.total}" if count.more else str(count.total)
