"""The way back from a new minor version of Camunda: a restore, and nothing else.

Data is migrated forwards only, so that no broker of the former minor can read it. Before the first
new broker runs there has to be something to restore: a completed backup of the brokers and a
snapshot of the database, neither older than ``BackupMaxAge`` hours. The machine takes what is
missing before it changes anything (``preflight/backup_gate.py``), or the caller has accepted that
there is none.
Source: https://docs.camunda.io/docs/8.9/self-managed/components/orchestration-cluster/core-settings/concepts/version-compatibility/
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.json_reader import items, mapping, moment, text
from lifecycle.services.images import versions

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCEPT: Final = "acceptNoWayBack"
COMPLETED: Final = "COMPLETED"
# From here on brokers report whether they have ended the step before.
REPORTS_READINESS: Final = (8, 10)


@dataclass(frozen=True, slots=True)
class Backup:
    """The newest backup of the brokers: its state, and when its earliest part was begun.

    ``state`` is Camunda's, or empty when there is no backup at all. ``unready`` lists what the
    brokers have not ended of the step before, and of each broker that does not report it
    (below ``REPORTS_READINESS``, every one).
    """

    state: str
    at: datetime | None
    unready: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """When the newest available snapshot of the database was made; None for no snapshot."""

    at: datetime | None


def read_backup(answer: Mapping[str, Any]) -> Backup:
    """Read the probe's answer to ``backup``. Raises ``InvalidResponse``."""
    backup = mapping(answer, "the backup")
    # A function of an earlier version does not report it.
    unready = items(backup.get("unready", []), "unready")
    return Backup(text(backup, "state"), moment(backup, "at"), tuple(str(one) for one in unready))


def crosses_minor(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether the brokers become another minor version, by all parameters of the stack."""
    was, becomes = (versions(one).brokers for one in (before, after))
    return was is not None and becomes is not None and was[:2] != becomes[:2]


def lacking_backup(
    backup: Backup | None, now: datetime | None, unread: Mapping[str, str], old: timedelta
) -> str:
    """Describe why the brokers have no fresh backup; empty when they have one.

    None is what could not be read, and ``unread`` has the reason, by ``backup``: what is not known
    is not there. ``old`` is how old a backup may be.
    """
    if backup is None:
        return f"the backups could not be read: {unread.get('backup', 'no answer')}"
    if not backup.state:
        return "there is no backup of the brokers"
    if backup.state != COMPLETED:
        return f"the newest backup of the brokers is {backup.state}, not {COMPLETED}"
    why = _stale(backup.at, now, old)
    return f"the newest backup of the brokers {why}" if why else ""


def lacking(
    backup: Backup | None,
    snapshot: Snapshot | None,
    now: datetime | None,
    unread: Mapping[str, str],
    old: timedelta,
) -> list[str]:
    """Describe what a restore would lack; empty when there is a way back.

    As ``lacking_backup``, with the snapshot of the database: ``unread`` by ``snapshot``, too.
    """
    why = lacking_backup(backup, now, unread, old)
    found = [why] if why else []
    if snapshot is None:
        found.append(f"the snapshots could not be read: {unread.get('snapshot', 'no answer')}")
    elif snapshot.at is None:
        found.append("there is no available snapshot of the database")
    elif why := _stale(snapshot.at, now, old):
        found.append(f"the newest snapshot of the database {why}")
    return found


def _stale(at: datetime | None, now: datetime | None, old: timedelta) -> str:
    if at is None or now is None:
        return "has no timestamp"
    if now - at > old:
        hours = old // timedelta(hours=1)
        return f"is from {at.isoformat(timespec='minutes')}, more than {hours} hours ago"
    return ""
