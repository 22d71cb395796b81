"""What there is to restore: brokers' backups, snapshots and Aurora's window, side by side.

A pair is restored to the time of its snapshot and the brokers' backup after it. Between backups any
checkpoint of the brokers within a range is restored, with the database at a moment that is not
later (``covered`` and the window overlap). Source:
https://docs.camunda.io/docs/8.9/self-managed/operational-guides/backup-restore/rdbms/rdbms-restore/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.backup.decisions import TAG_BACKUP
from lifecycle.backup.delete import copies, ours
from lifecycle.camunda.backup_ranges import Span, covered, gaps
from lifecycle.camunda.backups import COMPLETED
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from lifecycle.backup.ports import DatabaseSeen, SnapshotSeen
    from lifecycle.camunda.backups import BackupsSeen, PrimaryBackup

PAIR: Final = "pair"
BROKERS: Final = "brokers"


def backups_document(
    brokers: BackupsSeen | None,
    database: DatabaseSeen | None,
    refusals: Mapping[int, str] | None,
) -> dict[str, Any]:
    """Return what ``GET /clusters/{name}/backups`` shows; null for what is not known.

    ``refusals`` are what a restore decides of complete backups, by id, None where it is not known.

    ``backups``, the newest first: ``id``, ``state``, ``at``, ``partitions``, ``version``, ``kind``
    (``pair`` with a snapshot, ``brokers`` without), ``size`` (null: Camunda returns none),
    ``snapshot``, ``snapshotAt``, ``restorable`` and ``why`` not. ``database``: ``earliest`` and
    ``latest``. ``ranges`` and ``gaps`` by partition. ``restorable``: ``from`` and ``to``, what both
    have without a snapshot, gaps within it excepted. ``snapshots``: those of ours whose brokers'
    backup is gone, and those that restores have taken of their copies. ``more``: older backups of
    the brokers that are not listed; none has a snapshot.
    """
    pairs = _pairs(database)
    seen = brokers.backups if brokers is not None else ()
    span = restorable(brokers, database)
    return {
        "backups": [_line(one, pairs.get(str(one.id)), brokers, refusals) for one in seen],
        "more": len(brokers.older) if brokers is not None else 0,
        "database": {
            "earliest": _at(database.earliest if database is not None else None),
            "latest": _at(database.latest if database is not None else None),
        },
        "ranges": [
            {"partition": one.partition, "start": _at(one.start), "end": _at(one.end)}
            for one in (brokers.ranges if brokers is not None else ())
        ],
        "gaps": [
            {"partition": one.partition, "from": written(one.after), "to": written(one.before)}
            for one in gaps(brokers.ranges if brokers is not None else ())
        ],
        "restorable": None
        if span is None
        else {"from": written(span.start), "to": written(span.end)},
        "snapshots": [
            {"name": one.name, "status": one.status, "at": _at(one.at)}
            for one in _alone(brokers, database)
        ],
    }


def _alone(brokers: BackupsSeen | None, database: DatabaseSeen | None) -> list[SnapshotSeen]:
    """Return the snapshots of ours that belong to no backup of the brokers."""
    if brokers is None or database is None:
        return []
    there = {str(one) for one in brokers.ids}
    return [
        *(one for one in ours(database) if one.tags.get(TAG_BACKUP, "") not in there),
        *copies(database),
    ]


def restorable(brokers: BackupsSeen | None, database: DatabaseSeen | None) -> Span | None:
    """Return the time to which both the brokers and Aurora's continuous backup can be restored.

    None where it is empty, or one of the two is not known. A gap within it is not restorable.
    """
    if brokers is None or database is None:
        return None
    if database.earliest is None or database.latest is None:
        return None
    span = covered(brokers.ranges, range(1, brokers.partitions + 1))
    both = None if span is None else span.within(Span(database.earliest, database.latest))
    return None if both is None or both.empty else both


def ids_of_pairs(database: DatabaseSeen | None) -> frozenset[int]:
    """Return the ids of the brokers' backups that have a snapshot."""
    return frozenset(int(one) for one in _pairs(database) if one.isascii() and one.isdecimal())


def _pairs(database: DatabaseSeen | None) -> dict[str, SnapshotSeen]:
    """Return the snapshots by the id of the brokers' backup that follows each."""
    found = ours(database) if database is not None else ()
    return {one.tags[TAG_BACKUP]: one for one in found if TAG_BACKUP in one.tags}


def _line(
    backup: PrimaryBackup,
    snapshot: SnapshotSeen | None,
    brokers: BackupsSeen | None,
    refusals: Mapping[int, str] | None,
) -> dict[str, Any]:
    why = _why_not(backup, snapshot, brokers.partitions if brokers is not None else 0, refusals)
    return {
        "id": backup.id,
        "state": backup.state,
        "at": _at(backup.at),
        "partitions": len(backup.parts),
        "version": backup.version,
        "kind": PAIR if snapshot is not None else BROKERS,
        "size": None,
        "snapshot": snapshot.name if snapshot is not None else None,
        "snapshotAt": _at(snapshot.at) if snapshot is not None else None,
        "restorable": not why,
        "why": why,
    }


def _why_not(
    backup: PrimaryBackup,
    snapshot: SnapshotSeen | None,
    partitions: int,
    refusals: Mapping[int, str] | None,
) -> str:
    """Return why a backup cannot be restored; empty where it can."""
    if backup.state != COMPLETED or backup.at is None:
        missing = backup.missing()
        return f"it is {backup.state}" + (f": {missing}" if missing else "")
    if len(backup.parts) != partitions:
        return (
            f"it is of {len(backup.parts)} partitions, the cluster has {partitions}: it can be "
            f"restored only into a cluster of {len(backup.parts)}"
        )
    if refusals is None:
        return "the database could not be read"
    why = refusals.get(backup.id, "")
    if why and snapshot is not None and not snapshot.available:
        return f"its snapshot {snapshot.name} is {snapshot.status}"
    return why


def _at(at: datetime | None) -> str | None:
    return None if at is None else written(at)
