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
from typing import TYPE_CHECKING, Final

from lifecycle.errors import RestoreRefused
from lifecycle.restore.candidates import (
    candidates_of,
    never_used,
    of_last_database,
    of_silent_brokers,
)
from lifecycle.restore.facts import BY_ID, MARGIN, Target
from lifecycle.restore.gaps import refuse_outside, within
from lifecycle.restore.history import Behind, in_use, is_by_id, lifetimes, without
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lifecycle.restore.facts import (
        Checkpoint,
        DatabaseFound,
        LastRestore,
        Present,
        Range,
        SnapshotFound,
    )
    from lifecycle.restore.request import RestoreRequest

_DIGEST: Final = 8
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.CreateInstance.html
_LONGEST_NAME: Final = 63
_SPENT: Final = (
    "The present database was made of snapshot {}, which CloudFormation restores no second time "
    "in the same stack: restore another backup first, or make a new cluster of this one (from)."
)


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
    behind = Behind.of(of, database) if ranges else Behind(())
    candidates = candidates_of(request, present, checkpoints, ranges, behind)
    if is_new and request.backup is None and request.to is None:
        # A cluster is made once: an earlier start goes on, whatever its source has backed up since.
        candidates = [one for one in candidates if _is_begun(one, present)] or candidates
    if request.backup is None and not ranges:
        begun = [one for one in candidates if _is_begun(one, present) and not finished]
        candidates = of_silent_brokers(request, of, candidates, begun)
    if request.backup is None and gone and not _is_begun(candidates[0], present):
        others = without(database, present.database)
        began = lifetimes(others, of).began(request.to or now)
        candidates = of_last_database(candidates, began, others)
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


def _without_present(database: DatabaseFound, present: Present) -> DatabaseFound:
    """Return what there is but for the snapshot that the stack has.

    CloudFormation replaces a database when its SnapshotIdentifier changes, and only then:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbcluster.html
    """
    return replace(
        database,
        snapshots=tuple(one for one in database.snapshots if one.name != present.snapshot),
    )


def _is_begun(one: Checkpoint, present: Present) -> bool:
    """Return whether an earlier start has changed the stack to this backup."""
    return present.restored.removesuffix(BY_ID) == str(one.backup)


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
    refuse_outside(chosen, ranges)
    changed = _is_begun(chosen, present)
    by_id = present.restored.endswith(BY_ID) if changed else is_by_id(chosen, present, of, database)
    if changed:
        source = _Source(present.snapshot, "", None, "the stack has been changed to it already")
    else:
        own = _name(present, "restore", present.generation, chosen)
        there = next((one for one in database.snapshots if one.name == own), None)
        fitting = _without_present(in_use(database, of, chosen), present)
        compares = continuous and not by_id
        spent = any(one.name == present.snapshot for one in database.snapshots)
        hint = never_used(chosen, without(database, present.database)) if gone else ""
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
        if one.backup == chosen.backup and one.at <= chosen.at and within(one.at, chosen, ranges)
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
    older = [one for one in database.snapshots if one.at <= at and within(one.at, chosen, ranges)]
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
