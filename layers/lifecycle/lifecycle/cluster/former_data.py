"""Databases of a cluster beside the one that it works with: kept by a restore, or left by one.

CloudFormation's replacement keeps the former database (UpdateReplacePolicy), without instances. Of
a restore that was interrupted there may be a copy. Both have the cluster's tags and stand in its
subnet group.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

COPY: Final = "restore"
"""Value of the tag ``camunda:purpose`` of what a restore made to take a snapshot of."""
FORMER_DAYS: Final = "30"
"""Default of the parameter ``FormerDataDays``."""
FORMER_PATIENCE: Final = 3 * 3600
"""Seconds in which RDS deletes the databases; it takes a final snapshot of the whole volume."""
# DeleteDBCluster's reference has 255, that of the snapshot which it makes 63.
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBClusterSnapshot.html
_LONGEST_SNAPSHOT: Final = 63
_DIGEST: Final = 8
# What RDS cannot delete, and does not turn into something else by itself.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html
_STUCK: Final = frozenset({"stopped", "stopping", "inaccessible-encryption-credentials"})


@dataclass(frozen=True, slots=True)
class DatabaseBeside:
    """An Aurora cluster with the tags of a cluster that does not work with it.

    ``status`` is RDS's, ``created`` when it was created, None where RDS does not show it,
    ``instances`` how many it has, ``copy`` whether a restore made it to take a snapshot of it.
    """

    name: str
    status: str
    created: datetime | None
    instances: int = 0
    copy: bool = False

    @property
    def stuck(self) -> str:
        """Why it cannot be deleted, empty where it can, now or in a while.

        One with instances is none that a restore left: those have none, and clients may use it.
        """
        if self.instances:
            return f"database {self.name} has {self.instances} instances"
        if self.status in _STUCK:
            return f"database {self.name} is {self.status}"
        return ""


def replaced_at(
    one: DatabaseBeside, beside: Iterable[DatabaseBeside], present: datetime | None
) -> datetime | None:
    """Return when a former database was replaced: at the creation of the next one.

    ``present`` is when the one in use was created, None where there is none or it is not known.
    """
    if one.created is None:
        return None
    others = [other.created for other in beside if not other.copy and other.name != one.name]
    later = [at for at in (*others, present) if at is not None and at > one.created]
    return min(later, default=None)


def former_lines(
    beside: Sequence[DatabaseBeside], present: datetime | None, days: int
) -> list[tuple[DatabaseBeside, dict[str, Any]]]:
    """Return former databases with what is shown of each; copies of restores are none.

    ``present`` is when the one in use was created, ``days`` after how many days since it was
    replaced one counts as expired. What that is worth is for people to say: nothing is deleted.
    """
    found = []
    for one in beside:
        if one.copy:
            continue
        replaced = replaced_at(one, beside, present)
        expires = None if replaced is None else replaced + timedelta(days=days)
        found.append(
            (
                one,
                {
                    "name": one.name,
                    "status": one.status,
                    "createdAt": _written(one.created),
                    "replacedAt": _written(replaced),
                    "expiresAt": _written(expires),
                },
            )
        )
    return found


def _written(at: datetime | None) -> str | None:
    return None if at is None else written(at)


def final_snapshot(database: str, operation_id: str) -> str:
    """Name the last snapshot of a former database: another one for each of them and each operation.

    Identifiers of CloudFormation differ at their end, which a name may have no room for.
    """
    key = hashlib.sha256(f"{operation_id}/{database}".encode()).hexdigest()
    suffix = f"-final-{key[:_DIGEST]}"
    return database[: _LONGEST_SNAPSHOT - len(suffix)].rstrip("-") + suffix


def in_the_way(beside: Sequence[DatabaseBeside]) -> str:
    """Return what of it cannot be deleted, and why; empty where all of it can."""
    return "; ".join(one.stuck for one in beside if one.stuck)
