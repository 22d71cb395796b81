"""Backups of the primary storage as the brokers list them, and the times that these cover.

Source of the shapes: ``backup-management-api.yaml`` of camunda/camunda (``BackupInfo``,
``PartitionBackupInfo``, ``PartitionBackupRange``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.json_reader import (
    flag,
    integer,
    items,
    mapping,
    moment,
    objects,
    optional_text,
    text,
)
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

COMPLETED: Final = "COMPLETED"
IN_PROGRESS: Final = "IN_PROGRESS"
FAILED: Final = "FAILED"
# While a backup begins, partitions that have not reached its checkpoint make it INCOMPLETE.
INCOMPLETE: Final = "INCOMPLETE"
# Backups with their parts in one answer, of several hundred partitions. A schedule of minutes makes
# more within days; of those before, one answer carries the ids.
MOST_LISTED: Final = 200


@dataclass(frozen=True, slots=True)
class PartOfBackup:
    """The backup of one partition; ``state`` is Camunda's, ``at`` is when it was begun."""

    partition: int
    state: str
    at: datetime | None
    reason: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class PrimaryBackup:
    """One backup of the brokers; ``state`` is Camunda's over all partitions."""

    id: int
    state: str
    parts: tuple[PartOfBackup, ...]
    reason: str = ""

    @property
    def at(self) -> datetime | None:
        """When its earliest part was begun; None where a partition has no part."""
        found = [one.at for one in self.parts if one.at is not None]
        return min(found) if found and len(found) == len(self.parts) else None

    @property
    def version(self) -> str:
        """The lowest version of the brokers that took part; empty where none is known."""
        found = {one.version for one in self.parts if one.version}
        return min(found, key=_ordered, default="")

    @property
    def ended(self) -> int:
        """How many partitions have ended their part."""
        return sum(one.state == COMPLETED for one in self.parts)

    def missing(self) -> str:
        """Name the partitions that are not COMPLETED, each with Camunda's state and reason."""
        return "; ".join(
            f"partition {one.partition} is {one.state}" + (f": {one.reason}" if one.reason else "")
            for one in self.parts
            if one.state != COMPLETED
        )


@dataclass(frozen=True, slots=True)
class BackupRange:
    """A time without a gap to which one partition can be restored, by its ends' checkpoints."""

    partition: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class BackupsSeen:
    """What the brokers return of their backups, the newest first.

    ``enabled`` is false where no store is configured or the version has no such API. ``partitions``
    are those that the cluster has now; ``adding`` while some are being added, when Camunda takes no
    backup. ``older`` are the ids of what is left out of ``backups``.
    """

    enabled: bool
    backups: tuple[PrimaryBackup, ...] = ()
    ranges: tuple[BackupRange, ...] = ()
    partitions: int = 0
    adding: bool = False
    older: tuple[int, ...] = ()

    @property
    def newest(self) -> int:
        """The highest id; 0 for no backup."""
        return max((one.id for one in self.backups), default=0)

    @property
    def ids(self) -> frozenset[int]:
        """The ids of all backups."""
        return frozenset({*self.older, *(one.id for one in self.backups)})


def read_backup_list(payload: object) -> tuple[PrimaryBackup, ...]:
    """Read ``GET /actuator/backupRuntime``, the newest first. Raises ``InvalidResponse``."""
    found = [_backup(one) for one in objects(payload, "the backups")]
    return tuple(sorted(found, key=lambda one: one.id, reverse=True))


def read_ranges(payload: object) -> tuple[BackupRange, ...]:
    """Read the ``ranges`` of ``GET /actuator/backupRuntime/state``, by partition and time.

    A range without an end holds no backup and is left out. Raises ``InvalidResponse``.
    """
    found = []
    for one in objects(mapping(payload, "the backup state").get("ranges") or [], "ranges"):
        ends = [
            None if one.get(end) is None else moment(mapping(one[end], end), "checkpointTimestamp")
            for end in ("start", "end")
        ]
        if ends[0] is not None and ends[1] is not None:
            found.append(BackupRange(integer(one, "partitionId"), ends[0], ends[1]))
    return tuple(sorted(found, key=lambda one: (one.partition, one.start)))


def backups_payload(seen: BackupsSeen, *, also: Collection[int] = ()) -> dict[str, Any]:
    """Return what ``read_backups`` reads, JSON-serialisable.

    The newest ``MOST_LISTED`` backups and those with the ids ``also`` have their parts.
    """
    listed = [
        one for place, one in enumerate(seen.backups) if place < MOST_LISTED or one.id in also
    ]
    return {
        "enabled": seen.enabled,
        "partitions": seen.partitions,
        "adding": seen.adding,
        "older": [*sorted({one.id for one in seen.backups} - {one.id for one in listed})],
        "backups": [
            {
                "backupId": one.id,
                "state": one.state,
                "failureReason": one.reason,
                "details": [
                    {
                        "partitionId": part.partition,
                        "state": part.state,
                        "createdAt": None if part.at is None else written(part.at),
                        "failureReason": part.reason,
                        "brokerVersion": part.version,
                    }
                    for part in one.parts
                ],
            }
            for one in listed
        ],
        "ranges": [
            {
                "partitionId": one.partition,
                "start": {"checkpointTimestamp": written(one.start)},
                "end": {"checkpointTimestamp": written(one.end)},
            }
            for one in seen.ranges
        ],
    }


def read_backups(payload: object) -> BackupsSeen:
    """Read what ``backups_payload`` wrote. Raises ``InvalidResponse``."""
    answer = mapping(payload, "the backups")
    return BackupsSeen(
        enabled=flag(answer, "enabled"),
        backups=read_backup_list(items(answer.get("backups"), "backups")),
        ranges=read_ranges(answer),
        partitions=integer(answer, "partitions"),
        adding=flag(answer, "adding"),
        older=tuple(integer({"id": one}, "id") for one in items(answer.get("older"), "older")),
    )


def _backup(one: Mapping[str, object]) -> PrimaryBackup:
    parts = [
        PartOfBackup(
            partition=integer(part, "partitionId"),
            state=text(part, "state"),
            at=moment(part, "createdAt"),
            reason=optional_text(part, "failureReason") or "",
            version=optional_text(part, "brokerVersion") or "",
        )
        for part in objects(one.get("details") or [], "details")
    ]
    return PrimaryBackup(
        id=integer(one, "backupId"),
        state=text(one, "state"),
        parts=tuple(sorted(parts, key=lambda part: part.partition)),
        reason=optional_text(one, "failureReason") or "",
    )


def _ordered(version: str) -> tuple[int, ...]:
    numbers = version.split("-", maxsplit=1)[0].split(".")
    return tuple(int(one) if one.isdecimal() else 0 for one in numbers)
