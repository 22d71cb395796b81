"""What a restore would do, in words and numbers: for a dry run, a report and people who decide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.backups import restore_minutes
from lifecycle.operation.steps import STACK_BUILT
from lifecycle.restore.facts import LastRestore
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.operation.record import Record
    from lifecycle.operation.rehearsal_note import Measured
    from lifecycle.restore.facts import Checkpoint, Target
    from lifecycle.restore.ports import PastOperations

# What changes a cluster; the others only read, or restore.
_CHANGING = frozenset({"provision", "scale", "restart", "rotate"})
# How many operations of a cluster are read.
RECORDS: Final = 50


@dataclass(frozen=True, slots=True)
class Around:
    """What a plan shows beside the target.

    ``records`` are operations of the cluster, newest first; ``schedule`` is BackupSchedule;
    ``unread`` is why the brokers' ranges are not known, empty if they are; ``counts`` is what came
    after the target by kind, ``uncounted`` why some of it is not known; ``brokers`` and
    ``connectors`` are those that run now; ``partitions`` is the parameter of the stack, 0 for a
    new one; ``newest`` are the newest backups; ``rehearsed`` is what rehearsals measured last.
    """

    now: datetime
    records: Sequence[Record]
    schedule: str
    unread: str
    counts: Mapping[str, Any]
    uncounted: str
    brokers: int
    running: int
    connectors: int
    trial: bool
    former_days: int
    partitions: int
    newest: Sequence[Checkpoint] = ()
    rehearsed: Measured | None = None


def last_restore(records: Sequence[Record], *, running: bool) -> LastRestore:
    """Return the restore that made a cluster's present data, by its operations, newest first.

    One that did not get as far as its change set made nothing. Where records of the time are gone,
    brokers that run on the data show that it was an earlier one which has ended.
    """
    for one in records:
        if one.machine != "restore" or not one.changed_at:
            continue
        if one.result == "SUCCEEDED":
            return LastRestore(one.operation_id, ended=True)
        if any(step["step"] == STACK_BUILT for step in one.timeline):
            return LastRestore(one.operation_id, ended=False)
    return LastRestore("an earlier operation", ended=True) if running else LastRestore()


def measured_by(past: PastOperations, cluster: str) -> Measured | None:
    """Return the restore that rehearsals of a cluster measured last; None without one."""
    note = past.rehearsal(cluster)
    return None if note is None else note.measured


def restore_plan(target: Target, requested: datetime | None, around: Around) -> dict[str, Any]:
    """Return the plan as JSON: ``to``, ``lost``, ``stops``, ``minutes``, ``keeps``, ``warnings``.

    ``requested`` is the moment of the request; the backup before it is what is restored.
    """
    return {
        **_body(target, requested, around),
        "stops": _stops(around),
        "keeps": _keeps(around),
    }


def new_cluster_plan(
    target: Target,
    requested: datetime | None,
    *,
    now: datetime,
    source: str,
    living: bool,
    bucket: str,
    unread: str,
    parameters: Mapping[str, str],
    schedule: str,
    connectors: int,
    newest: Sequence[Checkpoint] = (),
    records: Sequence[Record] = (),
    rehearsed: Measured | None = None,
) -> dict[str, Any]:
    """Return the plan of a cluster that is made of another one's backups, as ``restore_plan``.

    ``creates`` and ``copies`` come in place of what stops and of operations that are lost.
    ``records`` are operations of the source, newest first, ``rehearsed`` what its rehearsals
    measured last.
    """
    around = Around(
        now=now,
        records=(),
        schedule=schedule,
        unread=unread,
        counts={},
        uncounted="",
        brokers=0,
        running=0,
        connectors=0,
        trial=False,
        former_days=0,
        partitions=0,
        newest=newest,
        rehearsed=rehearsed,
    )
    made = _body(target, requested, around)
    made["minutes"] = _minutes(replace(around, records=records))
    warnings: list[str] = made.pop("warnings")
    lost = made["lost"] | {
        "text": f"What Camunda acknowledged in {source} after {written(target.at)} is not in the "
        f"new cluster: {_span(now - target.at)} until now, or until {source} was torn down."
    }
    if connectors:
        warnings.append(
            f"{connectors} connectors start: they repeat what had not been acknowledged, as calls "
            "to other systems. Make sure that nothing else runs on the same data."
        )
    if living:
        warnings.append(
            f"The new cluster has the process instances of {source}: its timers fire and its "
            "messages expire as well. Do not let workers of that cluster connect to it."
        )
    return {
        **made,
        "lost": lost,
        "stops": "Nothing stops.",
        "keeps": f"Everything that {'is' if living else 'was'} of {source} stays: it is only read.",
        "creates": {
            "text": "A new stack, whose database is made of the snapshot; its brokers are restored "
            "before they start for the first time. Users log in with the passwords that they had "
            f"in {source}: the secrets of the new cluster get them.",
            "parameters": dict(parameters),
        },
        "copies": f"All objects of bucket {bucket}, inside S3, into the new cluster's own bucket.",
        "warnings": warnings,
    }


def _body(target: Target, requested: datetime | None, around: Around) -> dict[str, Any]:
    """Return what all plans have."""
    lost = around.now - target.at
    return {
        "to": written(target.at),
        "backup": target.backup,
        "partitions": target.partitions,
        "database": {
            "snapshot": target.snapshot,
            "source": target.source or None,
            "at": written(target.database_at) if target.database_at and target.source else None,
        },
        "generation": target.generation,
        "continues": target.changed,
        "reason": target.reason,
        "lost": _lost(target, lost, around),
        "minutes": _minutes(around),
        "warnings": _warnings(target, requested, around),
    }


def _lost(target: Target, lost: timedelta, around: Around) -> dict[str, Any]:
    changes = [
        {"operationId": one.operation_id, "startedAt": one.started_at, "result": one.result}
        for one in around.records
        if one.machine in _CHANGING and one.changed_at and one.changed_at > written(target.at)
    ]
    numbers = ", ".join(f"{number} {kind}" for kind, number in around.counts.items())
    unknown = f"Not known: {around.uncounted}." if around.uncounted else ""
    counted = " ".join(filter(None, (f"Until now: {numbers}." if numbers else "", unknown)))
    return {
        "seconds": int(lost.total_seconds()),
        "counts": dict(around.counts),
        "counted": counted,
        "text": f"Everything that Camunda acknowledged after {written(target.at)} is gone for "
        f"applications and users: {_span(lost)} of work until now. Job workers may have acted "
        "on it outside of Camunda, and do so again.",
        "operations": changes,
    }


def _stops(around: Around) -> str:
    if not around.running and not around.connectors:
        return "Nothing runs: brokers and connectors are stopped already."
    return (
        f"{around.running} brokers and {around.connectors} connectors stop, all at once, after the "
        "database has been restored beside the present one; until the end nothing is served."
    )


def _minutes(around: Around) -> dict[str, Any]:
    last = _last(around)
    return {
        "brokers": restore_minutes(around.schedule),
        "text": f"Brokers: about {restore_minutes(around.schedule)} minutes with BackupSchedule "
        f"{around.schedule} (measured by Camunda at 50 process instances started per second; it "
        "depends on your load). Aurora: not known beforehand; it takes the longer, the larger "
        f"the volume is. The brokers run on while Aurora restores.{_measured(last, around.now)}",
        "last": last,
    }


def _last(around: Around) -> dict[str, Any] | None:
    """Return the newest of the restores that succeeded and those that a rehearsal measured."""
    found = [
        {
            "kind": "restore",
            "operationId": one.operation_id,
            "at": written(datetime.fromisoformat(one.ended_at)),
            "seconds": _seconds(one.started_at, one.ended_at),
        }
        for one in around.records
        if one.machine == "restore" and one.result == "SUCCEEDED" and one.ended_at
    ][:1]
    if around.rehearsed is not None:
        measured = around.rehearsed
        found.append(
            {
                "kind": "rehearsal",
                "operationId": measured.operation_id,
                "at": written(measured.at),
                "seconds": measured.seconds,
            }
        )
    return max(found, key=lambda one: str(one["at"]), default=None)


def _measured(last: Mapping[str, Any] | None, now: datetime) -> str:
    if last is None:
        return " No restore of this cluster has been measured: rehearse one (camunda-ecs rehearse)."
    of = {
        "restore": "The last restore of this cluster",
        "rehearsal": "The restore of the last rehearsal, into a cluster that was made for it,",
    }
    took, ago = (
        _span(timedelta(seconds=last["seconds"])),
        _span(now - datetime.fromisoformat(last["at"])),
    )
    return f" {of[last['kind']]} took {took} ({last['operationId']}, {ago} ago)."


def _seconds(since: str, until: str) -> int:
    took = datetime.fromisoformat(until) - datetime.fromisoformat(since)
    return int(took.total_seconds())


def _keeps(around: Around) -> str:
    if around.trial:
        return "A trial keeps nothing: the present database and leases are deleted at the end."
    return (
        "The present database (without instances), the brokers' present data and leases, and all "
        f"backups stay. They count as expired {around.former_days} days after the restore "
        "(FormerDataDays), and cost what their storage costs until they are deleted."
    )


def _warnings(target: Target, requested: datetime | None, around: Around) -> list[str]:
    found = []
    if target.changed:
        found.append(
            f"The stack has been changed to this backup already (DataGeneration "
            f"{target.generation}): the restore continues there, and what brokers have done since "
            "stays."
        )
    if target.by_id:
        # https://github.com/camunda/camunda/issues/51048
        found.append(
            "It is restored by its id, with a database of 30 seconds before: a Camunda of before "
            "May 2026 does not export what came between again, so that searches lack it."
        )
    if around.partitions and around.partitions != target.partitions:
        found.append(
            f"The parameter Partitions of the stack is {around.partitions} and becomes "
            f"{target.partitions}, as the backup has it: partitions were added since the stack was "
            "changed last."
        )
    more = [
        one
        for one in around.newest
        if one.lacks and one.at > target.at and one.partitions > target.partitions
    ]
    if more:
        found.append(
            f"Backup {more[-1].backup} of {written(more[-1].at)} has {more[-1].partitions} "
            f"partitions, and is not complete ({more[-1].lacks}): partitions were added after "
            f"{written(target.at)}, and nothing since then is restored."
        )
    if requested is not None and requested > target.at:
        found.append(
            f"{written(requested)} was requested: the newest backup before it is "
            f"{_span(requested - target.at)} older, and what lies between is not restored."
        )
    rotated = [
        one
        for one in around.records
        if one.machine == "rotate" and one.changed_at and one.changed_at > written(target.at)
    ]
    if rotated:
        found.append(
            f"Passwords were rotated after {written(target.at)} ({len(rotated)} operations). The "
            "restored data has those of before; users get the present ones of the secrets again. "
            "If the administrator's was rotated more than once since, the restore ends before its "
            "verification and names what to do."
        )
    if around.unread:
        found.append(
            f"Whether backups have gaps is not known: {around.unread.rstrip('.')}. The restore "
            "application checks it when it runs; if it rejects the backup, the brokers stay "
            "stopped, and the same request or one with another backup continues."
        )
    return found


def _span(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    days, seconds = divmod(seconds, 86400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    shown = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0 s"
