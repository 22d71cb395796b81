"""The backup before a change that moves or replaces brokers: what it needs, and who goes without.

Data of the brokers is in one place only, on their disks, so a change that copies, moves or reopens
it begins with something to restore: a completed backup of the brokers that is younger than
``BackupMaxAge`` hours and a database that can be restored to a time after it. The machines take one
where none is fresh; a request goes without it by ``acceptNoBackup``.

Needed by: more or fewer brokers, more partitions, a new revision of the brokers, a restart of all.
Not by what brings a cluster back to what it was, or only completes what began: tasks that are
started again, a change in progress that is followed, replicas of a cancelled change, an interrupted
roll, a deployment that ECS gave up, and the restart of one broker, which is what a sick one needs
while it lets no backup complete. Nor where no broker runs: nothing is moved, and none can be taken.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.validation import Problem
from lifecycle.errors import BackupOutdated
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ACCEPT: Final = "acceptNoBackup"
"""Field of a request that goes without a fresh backup."""
PARAMETER: Final = "BackupMaxAge"
DEFAULT_HOURS: Final = 4
"""Hours, of a cluster whose stack does not have the parameter yet, or that is adopted."""

EXECUTION: Final = timedelta(hours=4)
"""How long an execution lasts that moves brokers: ``TimeoutSeconds`` of its machine."""


def max_age_hours(parameters: Mapping[str, str]) -> int:
    """Return how many hours old a backup may be, by the parameters of the cluster's stack."""
    given = parameters.get(PARAMETER, "")
    return int(given) if given.isdecimal() and int(given) > 0 else DEFAULT_HOURS


def max_age(parameters: Mapping[str, str]) -> timedelta:
    """Return how old a backup may be, by the parameters of the cluster's stack."""
    return timedelta(hours=max_age_hours(parameters))


def read_waiver(raw: Mapping[Any, Any]) -> tuple[bool, list[Problem]]:
    """Read ``acceptNoBackup`` of a request, false where it is not given."""
    given = raw.get(ACCEPT, False)
    if not isinstance(given, bool):
        return False, [Problem(ACCEPT, given, "true or false")]
    return given, []


def wanted(
    parameters: Mapping[str, str], *, accepted: bool, snapshot: bool = False
) -> dict[str, Any]:
    """Return what a machine requests of ``TakeBackup`` before brokers move.

    ``parameters`` are those that the cluster has before the change; ``accepted`` goes without one
    where none is fresh; ``snapshot`` needs a snapshot of the database besides Aurora's continuous
    backup.
    """
    return {
        "maxAgeHours": max_age_hours(parameters),
        ACCEPT: accepted,
        "snapshot": snapshot,
    }


def good_until(moments: Iterable[datetime | None], hours: int | None) -> str:
    """Return until when brokers may begin to move on a backup; empty for without an end.

    ``moments`` are those of the pair, ``hours`` how old it may be when an execution finds or takes
    it. What that execution moves, it moves before its time-out; only one that was redriven, up to
    14 days later, comes after that:
    https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    """
    known = [one for one in moments if one is not None]
    if hours is None or not known:
        return ""
    return written(min(known) + timedelta(hours=hours) + EXECUTION)


def refuse_outdated(until: str, now: datetime, what: str) -> None:
    """Refuse to begin a move; ``until`` is what ``good_until`` returned, ``what`` names the move.

    Raises ``BackupOutdated``. What was begun before is completed without: it needs no backup.
    """
    if until and now > datetime.fromisoformat(until):
        raise BackupOutdated(
            f"The backup of this operation was good until {until}, and it is {written(now)}: it "
            f"was resumed since. Nothing was begun now: {what}."
        )
