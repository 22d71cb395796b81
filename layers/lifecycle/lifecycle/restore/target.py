"""To what a restore goes: which backup of the brokers, which moment of the database, and why.

The brokers go to a checkpoint, a moment at which all partitions agree. The database has to be of
before it: brokers export again what it lacks, and refuse one that is ahead of their backup. The
restore application takes the checkpoint *nearest* to a given time, before or after it
(camunda/camunda, ``RestorePointResolver.findCommonCheckpoint``), so that it is always given the
time of a backup that is known, at or before the moment of the request. Sources:
https://docs.camunda.io/docs/8.9/self-managed/operational-guides/backup-restore/rdbms/rdbms-restore/
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.lifetimes import NEVER, Lifetimes
from lifecycle.errors import RestoreRefused
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.cluster.stack import Stack
    from lifecycle.restore.request import RestoreRequest
    from lifecycle.services.images import Version

MARGIN: Final = timedelta(seconds=30)
"""By so much the database is older than the backup: clocks differ, and it is restored to a second.

The brokers export the records of that time again.
"""
# Times of ranges are cut to milliseconds, those of backups are not.
_CUT: Final = timedelta(milliseconds=1)
_DIGEST: Final = 8
_BY_ID: Final = "-by-id"
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.CreateInstance.html
_LONGEST_NAME: Final = 63
_LISTED: Final = 5
_SPENT: Final = (
    "The present database was made of snapshot {}, which CloudFormation restores no second time "
    "in the same stack: restore another backup first, or make a new cluster of this one (from)."
)


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
        return f"{self.backup}{_BY_ID if self.by_id else ''}"


def choose(
    request: RestoreRequest,
    present: Present,
    checkpoints: Sequence[Checkpoint],
    ranges: Sequence[Range],
    database: DatabaseFound,
    *,
    now: datetime,
    of: Present | None = None,
    gone: bool = False,
    continuous: bool = True,
    last: LastRestore | None = None,
) -> Target:
    """Choose what is restored. Raises ``RestoreRefused`` naming what was given and is allowed.

    A backup that is named is restored, and of a moment the last one before it. Without either it is
    the newest for which there is a database: Aurora restores to five minutes ago at the latest
    (``LatestRestorableTime``, API reference of RDS, DBCluster).

    ``ranges`` are those that the brokers return, none where they do not answer: then the restore
    application alone finds a gap, and after a restore nothing shows which backups it left behind.
    The bucket keeps those, above the one that was restored.

    ``of`` is the cluster whose backups they are, if it is another one than the one that is made of
    them. ``gone``: no broker will ever return its ranges, so that a snapshot which was not taken
    for the backup is one that fits, and the restore application compares them. It compares nothing
    without ``continuous`` backups, nor where it restores by an id ("When using backup ID restore,
    the RDBMS exporter position is not consulted"): then the database is one of shortly before.

    ``last`` is the restore that made the present data, None where none is known. One to the same
    backup continues what has not ended; what has ended is restored once more with ``again`` only.
    """
    is_new = of is not None
    of = of or present
    finished = last.operation if last is not None and last.ended else ""
    if request.again and (last is None or last.ended is not False):
        present = replace(present, restored="")
    if request.to is not None and request.to > now:
        raise RestoreRefused(
            f"to is {written(request.to)}, and it is {written(now)}; allowed is a moment that has "
            "passed.",
        )
    behind = _Behind.of(of, database) if ranges else _Behind(())
    candidates = _candidates(request, present, checkpoints, ranges, behind)
    if is_new and request.backup is None and request.to is None:
        # A cluster is made once: an earlier start goes on, whatever its source has backed up since.
        candidates = [one for one in candidates if _is_begun(one, present)] or candidates
    if request.backup is None and not ranges:
        begun = [one for one in candidates if _is_begun(one, present) and not finished]
        candidates = _of_silent_brokers(request, of, candidates, begun)
    if request.backup is None and gone and not _is_begun(candidates[0], present):
        others = _without(database, present.database)
        began = lifetimes(others, of).began(request.to or now)
        candidates = _of_last_database(candidates, began, others)
    if not is_new and (finished or not any(_is_begun(one, present) for one in candidates)):
        _refuse_younger(present, database)
    if finished and _is_begun(candidates[0], present):
        raise RestoreRefused(
            f"The cluster's data is of backup {candidates[0].backup} already: {finished} restored "
            "it, and the cluster has worked since.",
            next_step="Nothing was changed. To lose what came since and restore it once more, name "
            "it as backup with again true. Otherwise request another moment or backup.",
        )
    newest, *older = candidates
    older = [one for one in older if not (finished and _is_begun(one, present))]
    at_last = {"gone": gone, "continuous": continuous}
    try:
        return _target(newest, present, of, ranges, database, **at_last)
    except RestoreRefused:
        for one in older:
            with contextlib.suppress(RestoreRefused):
                return _target(one, present, of, ranges, database, **at_last)
        raise


def _refuse_younger(present: Present, database: DatabaseFound) -> None:
    """Refuse while another database has the cluster's tags and is younger than the present one.

    The brokers never worked with it: CloudFormation leaves one that an update has made and rolled
    back, because it is protected from deletion, or a person restored it. Once a restore has made
    another present one, its age would no longer show that, nor would that of its snapshots.
    """
    there = {one.database: one.created for one in database.windows}
    snapshots = [one for one in database.snapshots if not one.copied]
    since = there.get(present.database)
    aside = [name for name, created in there.items() if _is_younger(created, since)]
    if aside:
        raise RestoreRefused(
            f"Database {aside[0]} has the tags of the cluster and is younger than its present one, "
            f"{present.database}: the brokers never worked with it, and later restores would take "
            "it for a former one.",
            next_step="Nothing was changed. If an update that was rolled back has left it, delete "
            "it in RDS without a final snapshot (its deletion protection first); otherwise remove "
            "its tags camunda:control-plane and camunda:cluster. Then start the same request "
            "again.",
        )
    of_it = [
        one.name
        for one in snapshots
        if one.database != present.database and _is_younger(one.created, since)
    ]
    if of_it:
        raise RestoreRefused(
            f"Snapshot {of_it[0]} has the tags of the cluster and is of a database that is younger "
            f"than its present one, {present.database}: the brokers never worked with it, and "
            "later restores would take it for a former one.",
            next_step="Nothing was changed. If an update that was rolled back had left its "
            "database, delete the snapshot in RDS; otherwise remove its tags camunda:control-plane "
            "and camunda:cluster. Then start the same request again.",
        )


def _is_younger(created: datetime | None, since: datetime | None) -> bool:
    return created is not None and since is not None and created > since


def _of_silent_brokers(
    request: RestoreRequest,
    of: Present,
    candidates: Sequence[Checkpoint],
    begun: Sequence[Checkpoint],
) -> Sequence[Checkpoint]:
    """Return what may be restored without a look at ranges. Raises ``RestoreRefused``.

    ``begun`` is what an earlier start has begun to restore, if it has not ended.
    """
    if begun and (request.to is None or begun[0] == candidates[0]):
        return begun[:1]
    if of.generation > 1:
        raise RestoreRefused(
            "The cluster was restored before, and the brokers do not answer: whether a backup is "
            "of the present data or was left behind by that restore is not known. The newest are "
            f"{_listed(candidates[::-1])}.",
            next_step="Nothing was changed. Name one as backup, or start the brokers first.",
        )
    return candidates


def _of_last_database(
    candidates: Sequence[Checkpoint], began: datetime | None, database: DatabaseFound
) -> Sequence[Checkpoint]:
    """Return the backups of a torn-down cluster's last database. Raises ``RestoreRefused``.

    Its bucket keeps what a restore left behind, and no broker has ranges any more. ``began`` is
    when the database was created that was in use at the moment of the request.
    """
    last = [one for one in candidates if began is None or one.at >= began]
    if last or began is None:
        return last or candidates
    raise RestoreRefused(
        f"The cluster's last database was created at {written(began)}, after every backup that "
        "fits: it was restored or made anew then, and whether a backup is of the data that it had "
        "from then on, or of what it left behind, is not known. The newest are "
        f"{_listed(candidates[::-1])}.",
        next_step=f"Nothing was changed. Name one as backup.{_never_used(candidates[0], database)}",
    )


def _never_used(chosen: Checkpoint, database: DatabaseFound) -> str:
    """Return what to do where what was made after a backup was never in use, in words."""
    later = [
        one.name
        for one in database.snapshots
        if not one.copied and one.created is not None and one.created > chosen.at
    ]
    if not later:
        return ""
    return (
        f" If no broker ever worked with the database of {', '.join(later[:_LISTED])} (a restore "
        "that did not end made it, and a teardown kept it), remove the tags camunda:control-plane "
        "and camunda:cluster of that snapshot and start the same request again."
    )


def _without(database: DatabaseFound, name: str) -> DatabaseFound:
    """Return what there is but for one database: the one that this restore has made."""
    return DatabaseFound(
        windows=tuple(one for one in database.windows if one.database != name),
        snapshots=tuple(one for one in database.snapshots if one.database != name),
    )


def _without_present(database: DatabaseFound, present: Present) -> DatabaseFound:
    """Return what there is but for the snapshot that the stack has.

    CloudFormation replaces a database when its SnapshotIdentifier changes, and only then:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbcluster.html
    """
    return replace(
        database,
        snapshots=tuple(one for one in database.snapshots if one.name != present.snapshot),
    )


@dataclass(frozen=True, slots=True)
class _Behind:
    """What the restores of a cluster that runs left behind.

    Each made a database at a time, and went to a backup, whose id is 0 where it is not known: the
    stack has that of the last one only. Times alone do not show what was left behind: ranges go on
    across a restore.
    """

    restores: tuple[tuple[datetime, int], ...]

    @classmethod
    def of(cls, cluster: Present, database: DatabaseFound) -> _Behind:
        lives = lifetimes(database, cluster)
        since = lives.created.get(cluster.database)
        if cluster.generation < 2 or since is None:
            return cls(())
        last = int(cluster.restored.removesuffix(_BY_ID) or 0)
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


def _is_by_id(chosen: Checkpoint, present: Present, of: Present, database: DatabaseFound) -> bool:
    """Return whether a backup has to be restored by its id, and not by its time."""
    if of.database:
        return _Behind.of(of, database).has(chosen)
    # To what the restores before this one went is not known any more.
    others = lifetimes(_without(database, present.database), replace(of, generation=1))
    return any(chosen.at < at for at in others.created.values())


def _is_begun(one: Checkpoint, present: Present) -> bool:
    """Return whether an earlier start has changed the stack to this backup."""
    return present.restored.removesuffix(_BY_ID) == str(one.backup)


def _target(
    chosen: Checkpoint,
    present: Present,
    of: Present,
    ranges: Sequence[Range],
    database: DatabaseFound,
    *,
    gone: bool,
    continuous: bool,
) -> Target:
    """Return how a backup is restored. Raises ``RestoreRefused`` where it cannot be."""
    _refuse_version(chosen, present)
    _refuse_outside(chosen, ranges)
    changed = _is_begun(chosen, present)
    by_id = (
        present.restored.endswith(_BY_ID) if changed else _is_by_id(chosen, present, of, database)
    )
    if changed:
        source = _Source(present.snapshot, "", None, "the stack has been changed to it already")
    else:
        own = _name(present, "restore", present.generation, chosen)
        there = next((one for one in database.snapshots if one.name == own), None)
        fitting = _without_present(in_use(database, of, chosen), present)
        compares = continuous and not by_id
        spent = any(one.name == present.snapshot for one in database.snapshots)
        hint = _never_used(chosen, _without(database, present.database)) if gone else ""
        source = _source(
            chosen,
            of,
            ranges,
            fitting,
            own,
            made=there,
            gone=gone,
            compares=compares,
            spent=f" {_SPENT.format(present.snapshot)}" if spent else "",
            remedy=f"Nothing was changed. Request another moment or backup.{hint}" if hint else "",
        )
    generation = present.generation - 1 if changed else present.generation
    how = "; by its id, because an earlier restore may have left it behind" if by_id else ""
    return Target(
        backup=chosen.backup,
        at=chosen.at,
        snapshot=source.snapshot,
        source=source.database,
        database_at=source.at,
        staging=_name(present, "staging", generation, chosen),
        generation=generation + 1,
        changed=changed,
        reason=f"backup {chosen.backup} of {written(chosen.at)}; {source.reason}{how}",
        partitions=chosen.partitions,
        by_id=by_id,
        key=source.key,
        engine=source.engine,
    )


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


def created(stack: Stack) -> datetime | None:
    """Return when a stack was created; None where CloudFormation does not show it."""
    return datetime.fromisoformat(stack.created_at) if stack.created_at else None


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


def _name(present: Present, kind: str, generation: int, checkpoint: Checkpoint) -> str:
    """Name what a restore of the data with that number makes: a repetition finds it.

    It begins as all names of the control plane do, which is what the policies compare. RDS takes no
    two hyphens in a row, which the name of a cluster may have.
    """
    key = hashlib.sha256(f"{checkpoint.backup}/{written(checkpoint.at)}".encode()).hexdigest()
    suffix = f"-{kind}-{generation}-{key[:_DIGEST]}"
    stack = re.sub("-{2,}", "-", present.stack)
    return stack[: _LONGEST_NAME - len(suffix)].rstrip("-") + suffix


@dataclass(frozen=True, slots=True)
class _Source:
    """The snapshot, and of which database and moment it is made; of none if it exists."""

    snapshot: str
    database: str
    at: datetime | None
    reason: str
    key: str = ""
    engine: str = ""


def _candidates(
    request: RestoreRequest,
    present: Present,
    checkpoints: Sequence[Checkpoint],
    ranges: Sequence[Range],
    behind: _Behind,
) -> Sequence[Checkpoint]:
    """Return the backups that the request allows, the best first, and one at least."""
    ordered = sorted(checkpoints, key=lambda one: one.backup)
    if not ordered:
        until = f" until {written(request.to)}" if request.to else ""
        raise RestoreRefused(
            f"There is no backup of the brokers{until} in the cluster's bucket.",
            next_step="Nothing was changed. Request a later moment, or list what there is: GET "
            "/clusters/{name}/backups, of a cluster that was torn down GET /kept/{name}.",
        )
    if request.backup is not None:
        # Several buckets may have it, one of them not completely.
        having = [one for one in ordered if one.backup == request.backup]
        found = min(having, key=lambda one: bool(_unfit(one, present)), default=None)
        if found is None:
            raise RestoreRefused(
                f"backup is {request.backup}, which does not exist; the newest are "
                f"{_listed(ordered)}."
            )
        why = _unfit(found, present)
        if why:
            raise RestoreRefused(
                f"Backup {found.backup} cannot be restored: {why}.",
                next_step=_way_to_other_number([found], present),
            )
        return (found,)
    fitting = [one for one in ordered if not _unfit(one, present)]
    fitting = [one for one in fitting if _is_covered(one, ranges)]
    if request.to is not None:
        before = [one for one in fitting if one.at <= request.to]
        mine = [one for one in before if not behind.has(one)]
        since = behind.since(before[-1]) if before else None
        if since is not None and (request.to < since or not mine):
            raise RestoreRefused(
                f"to is {written(request.to)}; the cluster was restored at {written(since)},"
                f" and the last backup before to, {before[-1].backup} of {written(before[-1].at)}, "
                "may be of what that restore left behind. The newest of before to are "
                f"{_listed(before)}.",
                next_step="Nothing was changed. Name one as backup.",
            )
        before = mine
        if not before:
            earlier = [one for one in ordered if one.at <= request.to]
            first = f", the first of {written(fitting[0].at)}" if fitting else ""
            raise RestoreRefused(
                f"to is {written(request.to)}; {len(fitting)} backups can be restored{first}, and "
                f"none is of before that.{_why_not(earlier, present)}",
                next_step=_way_to_other_number(earlier, present),
            )
        _refuse_gap(request.to, before[-1], ranges)
        return (before[-1],)
    if not fitting:
        raise RestoreRefused(
            f"No backup can be restored.{_why_not(ordered, present)}",
            next_step=_way_to_other_number(ordered, present),
        )
    kept = [one for one in fitting if not behind.has(one)]
    if not kept:
        raise RestoreRefused(
            "No backup is known to be of the present data: the cluster was restored since. The "
            f"newest are {_listed(fitting)}.",
            next_step="Nothing was changed. Name one as backup.",
        )
    return kept[::-1]


def last_complete(
    cluster: Present, checkpoints: Sequence[Checkpoint], database: DatabaseFound
) -> Checkpoint | None:
    """Return the newest complete backup of a cluster, without what its last restore left behind.

    Camunda adds partitions and never removes one, and adding them does not change the stack. So it
    shows how many there are where no broker does.
    """
    behind = _Behind.of(cluster, database)
    whole = [one for one in checkpoints if not one.lacks and not behind.has(one)]
    return max(whole, key=lambda one: one.at, default=None)


def _way_to_other_number(ordered: Sequence[Checkpoint], present: Present) -> str | None:
    """Return how to restore the newest of some backups that is of another number of partitions."""
    found = next((one for one in reversed(ordered) if not one.lacks and _unfit(one, present)), None)
    if found is None:
        return None
    return (
        f"Nothing was changed. To restore backup {found.backup}, have it make a new cluster: from, "
        f"backup {found.backup}, and parameters with Partitions {found.partitions}. Otherwise "
        "request another moment or backup."
    )


def _unfit(one: Checkpoint, present: Present) -> str:
    if one.lacks:
        return one.lacks
    if one.partitions != present.partitions:
        return (
            f"it has {one.partitions} partitions and the cluster {present.partitions}; Camunda "
            "restores a backup only to its own number"
        )
    return ""


def _refuse_version(one: Checkpoint, present: Present) -> None:
    """Refuse what the restore application of the cluster's version does not read.

    The same minor, or a backup of the minor before it.
    """
    mine, theirs = present.version, one.version
    if mine is None or theirs is None:
        which = "the cluster" if mine is None else f"backup {one.backup}"
        raise RestoreRefused(f"The version of {which} is not known.")
    if mine[0] == theirs[0] and mine[1] - theirs[1] in (0, 1):
        return
    raise RestoreRefused(
        f"Backup {one.backup} is of {'.'.join(map(str, theirs))} and the cluster runs "
        f"{'.'.join(map(str, mine))}; allowed are the same minor and the one before it.",
    )


def _source(
    chosen: Checkpoint,
    of: Present,
    ranges: Sequence[Range],
    database: DatabaseFound,
    own: str,
    *,
    made: SnapshotFound | None,
    gone: bool,
    compares: bool,
    spent: str,
    remedy: str,
) -> _Source:
    """Choose the snapshot; ``own`` is the name of one of this restore, ``made`` it if it exists.

    ``spent`` and ``remedy`` are words for the refusal: why a snapshot is not among those that may
    be restored, and what to do.

    ``compares``: the restore application compares the database with the backups, and restores
    those that lie between. Otherwise only the nearest database will do.
    """
    at = chosen.at - MARGIN
    windows = sorted(database.windows, key=lambda one: one.database != of.database)
    paired = [
        one
        for one in database.snapshots
        if one.backup == chosen.backup and one.at <= chosen.at and _within(one.at, chosen, ranges)
    ]
    # `RestoreToTime` "must be before the latest restorable time": the API reference of
    # RestoreDBClusterToPointInTime.
    covering = [one for one in windows if one.earliest <= at < one.latest]
    if paired and (compares or not (made or covering)):
        newest = max(paired, key=lambda one: one.at)
        why = f"snapshot {newest.name} was taken for it"
        return _Source(newest.name, "", None, why, newest.key, newest.engine)
    if made:
        why = f"snapshot {own} was made by an earlier start of this restore"
        return _Source(
            own, covering[0].database if covering else "", at, why, made.key, made.engine
        )
    if covering:
        source = covering[0]
        why = f"database {source.database} as it was at {written(at)}"
        return _Source(own, source.database, at, why, source.key, source.engine)
    # Without the brokers' ranges it is not known how old the database may be.
    older = [one for one in database.snapshots if one.at <= at and _within(one.at, chosen, ranges)]
    if older and compares and (ranges or gone):
        newest = max(older, key=lambda one: one.at)
        why = f"snapshot {newest.name} of {written(newest.at)}"
        return _Source(newest.name, "", None, why, newest.key, newest.engine)
    listed = ", ".join(
        f"{one.database} from {written(one.earliest)} to {written(one.latest)}" for one in windows
    )
    raise RestoreRefused(
        f"Backup {chosen.backup} of {written(chosen.at)} needs the database of {written(at)}, or a "
        f"snapshot of shortly before. Aurora restores {listed or 'none'}, and none of the "
        f"{len(database.snapshots)} snapshots fits.{spent}",
        next_step=remedy or None,
    )


def _is_covered(one: Checkpoint, ranges: Sequence[Range]) -> bool:
    """Return whether a backup lies in a range of each partition that has any."""
    return {each.partition for each in ranges} == {
        each.partition for each in ranges if _covers(each, one)
    }


def _refuse_outside(chosen: Checkpoint, ranges: Sequence[Range]) -> None:
    """Refuse a backup that lies in no range of a partition: something before it is missing."""
    for partition, mine in _by_partition(ranges).items():
        if not any(_covers(one, chosen) for one in mine):
            raise RestoreRefused(
                f"Backup {chosen.backup} of {written(chosen.at)} lies in a gap: partition "
                f"{partition} can be restored from {_spans(mine)}.",
            )


def _refuse_gap(moment: datetime, before: Checkpoint, ranges: Sequence[Range]) -> None:
    """Refuse a moment between two ranges of a partition: what came before it is of another time.

    ``before`` is the last backup before the moment. Within a range, and after the last one, that is
    the backup of the moment.
    """
    for partition, mine in _by_partition(ranges).items():
        of = next((one for one in mine if one.end >= before.at - _CUT), None)
        if of is not None and moment > of.end and any(one.start > of.end for one in mine):
            raise RestoreRefused(
                f"to is {written(moment)}, which lies in a gap: partition {partition} can be "
                f"restored from {_spans(mine)}.",
            )


def _by_partition(ranges: Sequence[Range]) -> dict[int, list[Range]]:
    """Return the ranges of each partition that has any, both in order."""
    found: dict[int, list[Range]] = {}
    for one in sorted(ranges, key=lambda each: (each.partition, each.start)):
        found.setdefault(one.partition, []).append(one)
    return found


def _spans(mine: Sequence[Range]) -> str:
    return ", ".join(f"{written(one.start)} to {written(one.end)}" for one in mine)


def _covers(one: Range, chosen: Checkpoint) -> bool:
    """Return whether a range has a backup.

    Its ends are times of checkpoints as its partition wrote them, to the millisecond and a moment
    after that of the earliest partition; ranges are minutes apart.
    """
    return one.start - MARGIN <= chosen.at <= one.end + MARGIN


def _within(at: datetime, chosen: Checkpoint, ranges: Sequence[Range]) -> bool:
    """Return whether brokers that go to the backup have what came after a moment, in every range.

    The log of a range begins before its first backup, at what was exported then, so that a
    snapshot which was taken just before that backup fits as well.
    """
    return all(one.start - 2 * MARGIN <= at for one in ranges if _covers(one, chosen))


def _listed(ordered: Sequence[Checkpoint]) -> str:
    return ", ".join(f"{one.backup} of {written(one.at)}" for one in ordered[: -_LISTED - 1 : -1])


def _why_not(ordered: Sequence[Checkpoint], present: Present) -> str:
    reasons = [
        f"{one.backup}: {why}"
        for one in ordered[: -_LISTED - 1 : -1]
        if (why := _unfit(one, present))
    ]
    return f" Of the newest, {'; '.join(reasons)}." if reasons else ""
