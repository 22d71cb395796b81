"""Which backups a request allows, and why none of them where it allows none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.errors import RestoreRefused
from lifecycle.restore.gaps import is_covered, refuse_gap
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lifecycle.restore.facts import Checkpoint, DatabaseFound, Present, Range
    from lifecycle.restore.history import Behind
    from lifecycle.restore.request import RestoreRequest

_LISTED: Final = 5


def candidates_of(
    request: RestoreRequest,
    present: Present,
    checkpoints: Sequence[Checkpoint],
    ranges: Sequence[Range],
    behind: Behind,
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
    fitting = [one for one in fitting if is_covered(one, ranges)]
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
        refuse_gap(request.to, before[-1], ranges)
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


def of_silent_brokers(
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


def of_last_database(
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
        next_step=f"Nothing was changed. Name one as backup.{never_used(candidates[0], database)}",
    )


def never_used(chosen: Checkpoint, database: DatabaseFound) -> str:
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


def _listed(ordered: Sequence[Checkpoint]) -> str:
    return ", ".join(f"{one.backup} of {written(one.at)}" for one in ordered[: -_LISTED - 1 : -1])


def _why_not(ordered: Sequence[Checkpoint], present: Present) -> str:
    reasons = [
        f"{one.backup}: {why}"
        for one in ordered[: -_LISTED - 1 : -1]
        if (why := _unfit(one, present))
    ]
    return f" Of the newest, {'; '.join(reasons)}." if reasons else ""
