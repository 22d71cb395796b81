"""The verdict on a cluster, and when people are notified.

A check gives two verdicts. The one shown counts everything found. The *confirmed* one leaves out
what is transient (a task is starting and would end it). The *notified* verdict, the one of the last
notification, changes only after several confirmed ones in a row. So a broker that ECS replaces does
not alert, and a flapping cluster stays notified as unhealthy until it has been healthy for longer.
Checks on demand do not alert either: one counts only if the last that counted is long ago.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.json_reader import integer, items, mapping, moment, text
from lifecycle.camunda.topology import MemberState
from lifecycle.cluster.names import CLUSTER_NAME_RULE, is_cluster_name
from lifecycle.cluster.validation import Problem, invalid
from lifecycle.errors import InvalidResponse
from lifecycle.health.catalog import KINDS, VERDICT_OF, Severity, Verdict, rank
from lifecycle.health.facts import seen
from lifecycle.health.rules import (
    Finding,
    Memory,
    Missing,
    Running,
    findings,
    of_this_cluster,
    remember,
)
from lifecycle.times import written

if TYPE_CHECKING:
    from lifecycle.health.facts import Facts
    from lifecycle.operation.rehearsal_note import RehearsalNote
    from lifecycle.operation.scaling_note import ScalingNote

# Checks in a row that change the notified verdict.
CONFIRMATIONS: Final = 2
# Checks in a row that must be well once a cluster has flapped, and when it counts as flapping.
CALM: Final = 6
FLAPS: Final = 3
FLAP_WINDOW: Final = timedelta(hours=1)
# A check on demand counts as one of them if no other did for so long.
APART: Final = timedelta(minutes=1)
# A notification that was decided and not delivered by then is delivered by the next check.
REDELIVER: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Counts:
    """Desired counts of the services, and brokers that joined; None where a source was silent."""

    brokers: int | None
    joined: int | None
    connectors: int | None


NOT_COUNTED: Final = Counts(None, None, None)


@dataclass(frozen=True, slots=True)
class Record:
    """The ``HEALTH`` item of a cluster: the last check and what the next one needs of it.

    ``notified`` is the verdict of the last notification. ``confirmed`` are the confirmed verdicts,
    newest first, ``shown`` those of the same checks with everything that was found; ``changes``
    when the notified verdict changed, newest first; ``undelivered`` when a notification was decided
    whose delivery is not recorded; ``counted_at`` when a check last went into ``confirmed``.
    ``rehearsal`` is what the last rehearsal showed (``RehearsalNote.as_dict``), None without one.
    """

    cluster: str
    checked_at: datetime
    verdict: Verdict
    since: datetime
    consecutive: int
    findings: tuple[Mapping[str, str], ...]
    notified: Verdict
    notified_before: Verdict
    notified_at: datetime | None
    confirmed: tuple[Verdict, ...]
    changes: tuple[datetime, ...]
    undelivered: datetime | None
    memory: Memory
    seconds: float = 0.0
    counted_at: datetime | None = None
    shown: tuple[Verdict, ...] = ()
    counts: Counts = NOT_COUNTED
    rehearsal: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """A change of the notified verdict, of which people receive a message."""

    before: Verdict
    now: Verdict


@dataclass(frozen=True, slots=True)
class Assessment:
    """The record to write, and the notification to send once it is written."""

    record: Record
    notification: Notification | None


def verdict(found: Sequence[Finding]) -> Verdict:
    """Return the worst of all findings.

    A deviation that an operation explains is a note; yet a cluster that serves no traffic is not
    called healthy, whatever explains it.
    """
    worst = max((VERDICT_OF[one.severity] for one in found), key=rank, default=Verdict.HEALTHY)
    serves = not any(
        one.explained_by and KINDS[one.code].severity is Severity.DOWN for one in found
    )
    return worst if serves else max(worst, Verdict.DEGRADED, key=rank)


def confirmed_verdict(found: Sequence[Finding]) -> Verdict:
    """Return the worst of what nothing explains and what is not transient."""
    confirmed = [one for one in found if not one.transient]
    return max((VERDICT_OF[one.severity] for one in confirmed), key=rank, default=Verdict.HEALTHY)


def next_notified(
    notified: Verdict,
    confirmed: Sequence[Verdict],
    changes: Sequence[datetime],
    at: datetime,
    shown: Sequence[Verdict] | None = None,
) -> Verdict:
    """Return the verdict notified from now on, given confirmed verdicts, the newest first.

    Worse: after ``CONFIRMATIONS`` checks in a row, as bad as the best of them. Better: by the
    verdicts that were ``shown`` (None: the confirmed ones), because a task that is only starting
    does not serve yet; likewise, but after ``CALM`` checks for a cluster whose notified verdict
    changed ``FLAPS`` times within an hour.
    """
    last = confirmed[:CONFIRMATIONS]
    if len(last) == CONFIRMATIONS and all(rank(one) > rank(notified) for one in last):
        return min(last, key=rank)
    flapping = sum(at - change < FLAP_WINDOW for change in changes) >= FLAPS
    needed = CALM if flapping else CONFIRMATIONS
    last = (confirmed if shown is None else shown)[:needed]
    if len(last) == needed and all(rank(one) < rank(notified) for one in last):
        return max(last, key=rank)
    return notified


def _is_being_made(now: Verdict, before: Record | None, running: Running | None) -> bool:
    """Return whether a provision operation holds a cluster that had no other verdict before."""
    if now is Verdict.HEALTHY or running is None or running.machine != "provision":
        return False
    return before is None or before.verdict is Verdict.PROVISIONING


def assess(
    cluster: str,
    facts: Facts,
    *,
    at: datetime,
    before: Record | None,
    running: Running | None,
    seconds: float = 0.0,
    scheduled: bool = True,
    scaling: ScalingNote | None = None,
    rehearsed: RehearsalNote | None = None,
) -> Assessment:
    """Evaluate what a check found, compared with the check before.

    ``scaling`` and ``rehearsed`` are what the last ones left. A check that is not ``scheduled``
    shows what it found, and changes the notified verdict only if no other check counted within a
    minute.
    """
    memory = remember(facts, at, before.memory if before else None, running)
    found = findings(facts, at, memory, running, scaling, rehearsed=rehearsed)
    last = of_this_cluster(rehearsed, memory)
    every = now = verdict(found)
    if _is_being_made(now, before, running):
        now = Verdict.PROVISIONING
    same = before is not None and before.verdict is now
    notified = before.notified if before else Verdict.HEALTHY
    confirmed = before.confirmed if before else ()
    shown = before.shown if before else ()
    counts = scheduled or _long_ago(before, at)
    if counts:
        confirmed = (confirmed_verdict(found), *confirmed)[:CALM]
        shown = (every, *shown)[:CALM]
    changes = before.changes if before else ()
    then = next_notified(notified, confirmed, changes, at, shown)
    changed = then is not notified
    undelivered = before.undelivered if before else None
    overdue = undelivered is not None and at - undelivered > REDELIVER
    earlier = before.notified_before if before else Verdict.HEALTHY
    earlier = notified if changed else earlier
    notification = None
    if changed or overdue:
        notification = Notification(before=earlier, now=then)
        undelivered = at
    record = Record(
        cluster=cluster,
        checked_at=at,
        verdict=now,
        since=before.since if before is not None and same else at,
        consecutive=before.consecutive + 1 if before is not None and same else 1,
        findings=tuple(one.as_dict() for one in found),
        notified=then,
        notified_before=earlier,
        notified_at=at if changed else (before.notified_at if before else None),
        confirmed=confirmed,
        changes=(at, *changes)[:FLAPS] if changed else changes,
        undelivered=undelivered,
        memory=memory,
        seconds=seconds,
        counted_at=at if counts or before is None else before.counted_at,
        shown=shown,
        counts=count(facts),
        rehearsal=last.as_dict() if last is not None else None,
    )
    return Assessment(record, notification)


def count(facts: Facts) -> Counts:
    """Count what a check saw. A broker has joined if it is active and in the topology."""
    services = seen(facts.services)
    configuration, topology = seen(facts.configuration), seen(facts.topology)
    joined = None
    if configuration is not None and topology is not None:
        alive = {one.node_id for one in topology.brokers}
        active = [one.id for one in configuration.members if one.state is MemberState.ACTIVE]
        joined = sum(1 for one in active if one in alive)
    return Counts(
        brokers=services.brokers.desired if services is not None else None,
        joined=joined,
        connectors=services.connectors.desired if services is not None else None,
    )


def _long_ago(before: Record | None, at: datetime) -> bool:
    return before is None or before.counted_at is None or at - before.counted_at >= APART


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Which cluster to check, and when the check was due (None: now)."""

    cluster: str
    scheduled_at: datetime | None


def read_request(given: object) -> CheckRequest:
    """Read the input of the check machine. Raises ``InvalidRequest`` with every wrong field."""
    if not isinstance(given, Mapping):
        raise invalid([Problem("(input)", given, 'an object such as {"clusterName": "demo"}')])
    problems = [
        Problem(str(name), given[name], "no such field")
        for name in given
        if name not in {"clusterName", "scheduledAt"}
    ]
    name, scheduled = given.get("clusterName"), given.get("scheduledAt")
    if not is_cluster_name(name):
        problems.append(Problem("clusterName", name, CLUSTER_NAME_RULE))
    at = None
    if scheduled is not None:
        try:
            at = read_moment(scheduled if isinstance(scheduled, str) else "")
        except ValueError:
            allowed = "a moment such as 2026-01-31T12:00:00Z, or nothing"
            problems.append(Problem("scheduledAt", scheduled, allowed))
    if problems:
        raise invalid(problems)
    return CheckRequest(str(name), at)


def read_moment(value: str) -> datetime:
    """Return the time of a check, whole milliseconds in UTC. Raises ``ValueError``."""
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError(value)
    found = found.astimezone(UTC)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def stamp(at: datetime) -> str:
    """Return a moment as text that sorts as time does."""
    return written(at)


def as_document(record: Record) -> str:
    """Return a record as JSON text; ``read_document`` reads it."""
    memory = record.memory
    return json.dumps(
        {
            "cluster": record.cluster,
            "checkedAt": stamp(record.checked_at),
            "verdict": record.verdict,
            "since": stamp(record.since),
            "consecutive": record.consecutive,
            "findings": list(record.findings),
            "notified": record.notified,
            "notifiedBefore": record.notified_before,
            "notifiedAt": _stamp(record.notified_at),
            "confirmed": list(record.confirmed),
            "shown": list(record.shown),
            "changes": [stamp(one) for one in record.changes],
            "undelivered": _stamp(record.undelivered),
            "seconds": record.seconds,
            "countedAt": _stamp(record.counted_at),
            "counts": asdict(record.counts),
            "rehearsal": record.rehearsal,
            "memory": {
                "firstAt": stamp(memory.first_at),
                "change": list(memory.change) if memory.change else None,
                "changeSince": _stamp(memory.change_since),
                "exported": {
                    str(partition): [position, stamp(since)]
                    for partition, (position, since) in (memory.exported or {}).items()
                },
                "missingSince": {
                    name: [stamp(one.since), _stamp(one.whole)]
                    for name, one in memory.missing.items()
                },
                "topologyAt": _stamp(memory.topology_at),
                "lost": {
                    name: [stamp(one) for one in times] for name, times in memory.lost.items()
                },
                "differs": {name: stamp(since) for name, since in memory.differs.items()},
                "dropped": dict(memory.dropped),
                "kept": [memory.kept[0], stamp(memory.kept[1])] if memory.kept else None,
                "rehearses": [memory.rehearses[0], stamp(memory.rehearses[1])]
                if memory.rehearses
                else None,
            },
        }
    )


def read_document(document: str) -> Record | None:
    """Read a record; None for one of another version's shape, so that the next check is the first.

    A record with the keys that were renamed before the first release is one of those.
    """
    try:
        return _record(mapping(json.loads(document), "the record"))
    except (ValueError, InvalidResponse):
        return None


def _counts(found: Mapping[str, object]) -> Counts:
    """Read counts; what an earlier version wrote has none."""

    def number(name: str) -> int | None:
        return integer(found, name) if found.get(name) is not None else None

    return Counts(number("brokers"), number("joined"), number("connectors"))


def _record(found: Mapping[str, object]) -> Record:
    memory = mapping(found.get("memory"), "memory")
    confirmed = items(found.get("confirmed"), "confirmed")
    change = memory.get("change")
    return Record(
        cluster=text(found, "cluster"),
        checked_at=_moment(found, "checkedAt"),
        verdict=Verdict(text(found, "verdict")),
        since=_moment(found, "since"),
        consecutive=integer(found, "consecutive"),
        findings=tuple(
            {str(key): str(value) for key, value in mapping(one, "a finding").items()}
            for one in items(found.get("findings"), "findings")
        ),
        notified=Verdict(text(found, "notified")),
        notified_before=Verdict(text(found, "notifiedBefore")),
        notified_at=moment(found, "notifiedAt"),
        confirmed=tuple(Verdict(str(one)) for one in confirmed),
        changes=tuple(read_moment(str(one)) for one in items(found.get("changes"), "changes")),
        undelivered=moment(found, "undelivered"),
        memory=Memory(
            first_at=_moment(memory, "firstAt"),
            change=_pair(change) if change is not None else None,
            change_since=moment(memory, "changeSince"),
            exported={
                int(partition): _exported(value)
                for partition, value in mapping(memory.get("exported"), "exported").items()
            },
            # What an earlier version wrote has not these.
            missing={
                name: _missing(value)
                for name, value in mapping(memory.get("missingSince") or {}, "missing").items()
            },
            topology_at=moment(memory, "topologyAt") if "topologyAt" in memory else None,
            lost={
                name: tuple(read_moment(str(one)) for one in items(value, "lost"))
                for name, value in mapping(memory.get("lost") or {}, "lost").items()
            },
            differs={
                name: read_moment(str(since))
                for name, since in mapping(memory.get("differs") or {}, "differs").items()
            },
            dropped={
                name: integer({"dropped": value}, "dropped")
                for name, value in mapping(memory.get("dropped") or {}, "dropped").items()
            },
            kept=_kept(memory["kept"]) if memory.get("kept") else None,
            rehearses=_rehearses(memory["rehearses"]) if memory.get("rehearses") else None,
        ),
        seconds=_seconds(found.get("seconds")),
        counts=_counts(mapping(found.get("counts") or {}, "counts")),
        counted_at=moment(found, "countedAt"),
        shown=tuple(Verdict(str(one)) for one in items(found.get("shown", confirmed), "shown")),
        rehearsal=mapping(found["rehearsal"], "rehearsal") if found.get("rehearsal") else None,
    )


def _pair(value: object) -> tuple[int, int]:
    first, second = items(value, "change")
    return integer({"id": first}, "id"), integer({"done": second}, "done")


def _exported(value: object) -> tuple[int, datetime]:
    position, since = items(value, "exported")
    return integer({"position": position}, "position"), read_moment(str(since))


def _kept(value: object) -> tuple[int, datetime]:
    days, since = items(value, "kept")
    return integer({"days": days}, "days"), read_moment(str(since))


def _rehearses(value: object) -> tuple[str, datetime]:
    schedule, since = items(value, "rehearses")
    return text({"schedule": schedule}, "schedule"), read_moment(str(since))


def _missing(value: object) -> Missing:
    since, whole = items(value, "missing")
    return Missing(read_moment(str(since)), None if whole is None else read_moment(str(whole)))


def _moment(found: Mapping[str, object], key: str) -> datetime:
    return read_moment(text(found, key))


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)
