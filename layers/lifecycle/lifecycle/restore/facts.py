"""What a restore is decided from, and to what it goes: backups, databases, the cluster now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from lifecycle.services.images import Version

MARGIN: Final = timedelta(seconds=30)
"""By so much the database is older than the backup: clocks differ, and it is restored to a second.

The brokers export the records of that time again.
"""
BY_ID: Final = "-by-id"
"""What follows the backup in ``restored_backup`` where it was restored by its id."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A backup of the brokers as it is stored.

    ``at`` is the time of its checkpoint, of the earliest partition; ``partitions`` those that the
    cluster had; ``lacks`` is why it cannot be restored, empty if it is complete; ``version`` is
    that of the brokers.
    """

    backup: int
    at: datetime
    partitions: int
    version: Version | None
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """Time without a gap of one partition, by its first and its last backup."""

    partition: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class SnapshotFound:
    """An available snapshot of a database; ``backup`` is that of its tag, 0 without one.

    ``database`` is the Aurora cluster that it was taken of, and ``created`` when that was created,
    None where RDS does not show it. ``copied`` is true for one that a restore took of its copy: its
    contents are older than it is. ``key`` is the ARN of the key that encrypts it, ``engine`` the
    version of Aurora PostgreSQL, ``generation`` the number of the data (0 without its tag).
    """

    name: str
    at: datetime
    backup: int = 0
    database: str = ""
    created: datetime | None = None
    copied: bool = False
    key: str = ""
    engine: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """An Aurora cluster, and the time to which its continuous backup restores.

    That is from ``earliest`` to before ``latest``. ``created`` is when it was created, None where
    RDS does not show it. ``key`` is the ARN of the key that encrypts it, ``engine`` the version of
    Aurora PostgreSQL, ``generation`` the number of the data (0 without its tag).
    """

    database: str
    earliest: datetime
    latest: datetime
    created: datetime | None = None
    key: str = ""
    engine: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class DatabaseFound:
    """What the database can be restored from, former databases that were kept included."""

    windows: tuple[Window, ...] = ()
    snapshots: tuple[SnapshotFound, ...] = ()


@dataclass(frozen=True, slots=True)
class Present:
    """The cluster now: partitions, version and number of its data, and the database's identifier.

    ``snapshot`` is the one that its database was restored from, empty if it never was;
    ``restored`` what the stack has as the backup of its data (``restored_backup``). ``stack`` is
    its stack's name, ``since`` when that was created, None where it is not known.
    """

    stack: str
    partitions: int
    version: Version | None
    generation: int
    snapshot: str
    database: str
    restored: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastRestore:
    """The operation that made a cluster's present data, and whether it ended well.

    ``ended`` is False for one that was begun and has not, None where nothing shows it.
    """

    operation: str = ""
    ended: bool | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """To what is restored.

    ``at`` is the moment to which the brokers go. ``snapshot`` is what the stack restores: one that
    exists, or where ``source`` is given, one that is made of that database as it was at
    ``database_at``, by way of the cluster ``staging``. ``generation`` is the number of the new
    data. ``changed`` shows that the stack has been changed to this already, by an earlier start.
    ``by_id``: an earlier restore may have left the backup behind, so that the brokers' ranges do
    not have it, and the restore application would take another one of about that time.
    ``partitions`` is how many the backup has: the restored brokers are configured with that number.
    ``key`` is the ARN of the key that RDS needs to read what is restored, ``engine`` its version of
    Aurora PostgreSQL; both empty where nothing is restored any more.
    """

    backup: int
    at: datetime
    snapshot: str
    source: str
    database_at: datetime | None
    staging: str
    generation: int
    changed: bool
    reason: str
    partitions: int
    by_id: bool = False
    key: str = ""
    engine: str = ""

    @property
    def restored(self) -> str:
        """What the stack keeps: the id of the backup, and whether it is restored by that.

        An earlier start is recognised by it, whatever the database was restored from.
        """
        return f"{self.backup}{BY_ID if self.by_id else ''}"
