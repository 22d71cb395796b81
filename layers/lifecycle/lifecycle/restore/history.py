"""What earlier restores left behind: which databases and backups have what the brokers work with.

Each restore makes another database and goes to a backup. The bucket keeps the backups that were
taken since that one, and RDS the former database with its snapshots: they have what the restore
took back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.cluster.lifetimes import NEVER, Lifetimes
from lifecycle.restore.facts import BY_ID, DatabaseFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lifecycle.restore.facts import Checkpoint, Present


@dataclass(frozen=True, slots=True)
class Behind:
    """What the restores of a cluster that runs left behind.

    Each made a database at a time, and went to a backup, whose id is 0 where it is not known: the
    stack has that of the last one only. Times alone do not show what was left behind: ranges go on
    across a restore.
    """

    restores: tuple[tuple[datetime, int], ...]

    @classmethod
    def of(cls, cluster: Present, database: DatabaseFound) -> Behind:
        """Return what a cluster's restores left behind: nothing where no database shows one."""
        lives = lifetimes(database, cluster)
        since = lives.created.get(cluster.database)
        if cluster.generation < 2 or since is None:
            return cls(())
        last = int(cluster.restored.removesuffix(BY_ID) or 0)
        former = [at for at in lives.created.values() if at < since]
        # When one made a database that is not known any more, is not known either.
        former += [since] if lives.shown else []
        return cls(((since, last), *((at, 0) for at in former)))

    def since(self, one: Checkpoint) -> datetime | None:
        """Return when the last restore was that may have left a backup behind; None without."""
        return max(
            (at for at, to in self.restores if one.at < at and one.backup > to), default=None
        )

    def has(self, one: Checkpoint) -> bool:
        """Whether a restore may have left a backup behind."""
        return self.since(one) is not None


def lifetimes(database: DatabaseFound, present: Present) -> Lifetimes:
    """Return which database the brokers worked with when.

    Each has the number of its data as a tag, and each restore makes the next one. Where that is not
    known any more, one was deleted without a trace: then the one before it counts as in use until
    the last snapshot of it that was taken for a backup.
    """
    snapshots = [one for one in database.snapshots if not one.copied]
    created = {one.database: one.created for one in snapshots if one.created}
    created |= {one.database: one.created for one in database.windows if one.created}
    if present.generation > 1 and present.database not in created:
        origin = [one.at for one in database.snapshots if one.name == present.snapshot]
        created[present.database] = min(origin, default=NEVER)
    numbers: dict[str, int] = {}
    marked = [(one.database, one.generation) for one in snapshots]
    marked += [(one.database, one.generation) for one in database.windows]
    for name, number in marked:
        # A snapshot of before the tag has none; all of one database have the same otherwise.
        numbers[name] = max(number, numbers.get(name, 0))
    # Databases of an earlier cluster of the name have numbers of their own.
    numbers = {
        name: number
        for name, number in numbers.items()
        if number and name in created and (present.since is None or created[name] >= present.since)
    }
    last = {
        name: max(
            (one.at for one in snapshots if one.database == name and one.backup),
            default=created[name],
        )
        for name, number in numbers.items()
        if number + 1 < present.generation and number + 1 not in numbers.values()
    }
    return Lifetimes(created, present.database, last)


def in_use(
    database: DatabaseFound, present: Present, chosen: Checkpoint | None = None
) -> DatabaseFound:
    """Return what was taken of each database while the brokers worked with it, and nothing else.

    With ``chosen``, also no snapshot of a database that was replaced before that backup: it may
    have what a restore took back, or be of an earlier cluster of the name. One that was taken for
    the backup is of the database that was in use.

    A former database keeps its backups and can be restored to any moment since: one after it was
    replaced has what came before the restore, which the brokers do not have. So the successor's
    creation ends what a former one is good for. Where the present database is gone, the snapshot
    that it was restored from shows when that was at the earliest; without that no former one is
    used. A copy of a restore is never a source.
    """
    lives = lifetimes(database, present)
    windows = []
    for one in database.windows:
        end = lives.until(one.database, one.created)
        windows.append(one if end is None else replace(one, latest=min(one.latest, end)))
    return DatabaseFound(
        windows=tuple(one for one in windows if one.earliest <= one.latest),
        snapshots=tuple(
            one
            for one in database.snapshots
            if not one.copied
            if (chosen is not None and one.backup == chosen.backup)
            or lives.has(
                one.database,
                one.created,
                one.at,
                # What the present one was made of is in every later moment of it.
                one.at if chosen is None or one.name == present.snapshot else chosen.at,
            )
        ),
    )


def last_complete(
    cluster: Present, checkpoints: Sequence[Checkpoint], database: DatabaseFound
) -> Checkpoint | None:
    """Return the newest complete backup of a cluster, without what its last restore left behind.

    Camunda adds partitions and never removes one, and adding them does not change the stack. So it
    shows how many there are where no broker does.
    """
    behind = Behind.of(cluster, database)
    whole = [one for one in checkpoints if not one.lacks and not behind.has(one)]
    return max(whole, key=lambda one: one.at, default=None)


def is_by_id(chosen: Checkpoint, present: Present, of: Present, database: DatabaseFound) -> bool:
    """Return whether a backup has to be restored by its id, and not by its time."""
    if of.database:
        return Behind.of(of, database).has(chosen)
    # To what the restores before this one went is not known any more.
    others = lifetimes(without(database, present.database), replace(of, generation=1))
    return any(chosen.at < at for at in others.created.values())


def without(database: DatabaseFound, name: str) -> DatabaseFound:
    """Return what there is but for one database: the one that this restore has made."""
    return DatabaseFound(
        windows=tuple(one for one in database.windows if one.database != name),
        snapshots=tuple(one for one in database.snapshots if one.database != name),
    )
