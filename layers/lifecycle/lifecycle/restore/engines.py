"""Which versions of Aurora PostgreSQL a snapshot is restored to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import RestoreRefused

if TYPE_CHECKING:
    from lifecycle.restore.facts import Target


def takes(snapshot: str, version: str) -> bool:
    """Return whether RDS restores a snapshot of one version as another.

    To its own or to a later one of the same major version:
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterFromSnapshot.html
    A version that is not known, or that is only a major one, is left to RDS.
    """
    ours, theirs = _numbers(snapshot), _numbers(version)
    if not ours or not theirs:
        return True
    return ours[0] == theirs[0] and (len(theirs) == 1 or ours <= theirs)


def refuse_other_engine(target: Target, declared: str) -> None:
    """Raise ``RestoreRefused`` where the stack's version of Aurora cannot have what is restored.

    ``declared`` is ``DatabaseEngineVersion``. RDS rejects it only when the brokers have stopped and
    the stack is being changed. Aurora may be later than declared, after an upgrade by RDS.
    """
    if takes(target.engine, declared):
        return
    what = f"Database {target.source}" if target.source else f"Snapshot {target.snapshot}"
    raise RestoreRefused(
        f"{what} is of Aurora PostgreSQL {target.engine}, and DatabaseEngineVersion is {declared}; "
        "allowed is the same version or a later one of the same major.",
        next_step="Nothing was changed. Provision the cluster with the version that Aurora has as "
        "DatabaseEngineVersion, then start the same request again; what is of another major "
        "version is restored with from, into a new cluster.",
    )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(map(int, parts)) if all(one.isdecimal() for one in parts) else ()
