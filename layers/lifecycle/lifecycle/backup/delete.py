"""Delete backups: the one that a request names, or snapshots whose brokers' backup is gone.

A snapshot of an earlier cluster of the name has the same tags, and is the only way back to it. Its
database is older than the present stack; every database of the present cluster, also one that a
restore has replaced, was created after the stack. So only snapshots of these are deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.backup.decisions import PURPOSE, TAG_BACKUP, TAG_PURPOSE
from lifecycle.backup.request import STACK_CREATED, BackupAction
from lifecycle.backup.take import look_at_brokers
from lifecycle.camunda.backups import COMPLETED
from lifecycle.cluster.former_data import COPY
from lifecycle.cluster.names import tags
from lifecycle.cluster.polling import Wait, next_wait
from lifecycle.errors import BackupFailed, BackupRefused, LifecycleError
from lifecycle.operation.steps import BACKUP
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lifecycle.backup.ports import BackupChanges, DatabaseBackups, DatabaseSeen, SnapshotSeen
    from lifecycle.camunda.backups import BackupsSeen
    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation

# Seconds until the brokers no longer list a backup whose deletion was requested.
DELETE_PATIENCE: Final = 2 * 60
ORIGIN: Final = "DatabaseSnapshot"
"""Output of the stack: the snapshot that the database was restored from, empty if it never was.

CloudFormation needs its name only. It shows when the database began, by which a later restore knows
until when the former one is good, also after the present one is gone.
"""


@dataclass(frozen=True, slots=True)
class BackupDeleter:
    """The use case and its ports."""

    probe: Probe
    databases: DatabaseBackups
    changes: BackupChanges
    journal: Journal
    control_stack: str

    def delete(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        *,
        request: Mapping[str, Any],
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Take the next step; repeating it is harmless.

        With the action ``delete``, the brokers' backup ``backup`` is deleted and then its
        snapshots; otherwise the snapshots that ``expired`` returns, of which what cannot be deleted
        is reported and fails nothing. ``memory`` is what the last look returned, empty at first.

        Returns ``status`` ``DONE`` with ``deleted`` (names and ids) and ``problem``, or ``WAITING``
        with ``wait`` (seconds) and ``memory``. Raises ``BackupRefused`` (nothing was changed) and
        ``BackupFailed``.
        """
        since = _moment(request.get(STACK_CREATED, ""))
        if request["action"] != BackupAction.DELETE:
            return self._expire(operation, cluster, int(request["retentionDays"]), since)
        backup, begun = int(request["backup"]), bool(memory)
        brokers, problem = look_at_brokers(self.probe, cluster)
        if brokers is None:
            text = f"the backups could not be read: {problem or 'no answer'}"
            raise (BackupFailed if begun else BackupRefused)(f"Backup {backup}: {text}.")
        database = self._look(operation, cluster)
        used = cluster.get(ORIGIN, "")
        if not begun and (why := refuse_deletion(backup, brokers, database, since, used=used)):
            raise BackupRefused(f"Backup {backup} of cluster {operation.cluster} {why}.")
        if backup in brokers.ids:
            if not begun:
                # Remembered before it is requested: a look that is repeated does not refuse it.
                self.journal.look(operation, BACKUP, f"backup {backup} is to be deleted")
                return {"status": "WAITING", "wait": 1, "memory": {"begun": True}}
            return self._of_brokers(operation, cluster, backup, memory)
        deleted = [f"backup {backup}"] if begun else []
        found = snapshots_of(backup, database)
        for one in _of_the_stack(found, since):
            self.journal.step(operation, BACKUP, f"deleting snapshot {one.name}")
            self.databases.delete(one.name)
            deleted.append(f"snapshot {one.name}")
        return {"status": "DONE", "deleted": deleted, "problem": _kept(found, since)}

    def _of_brokers(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        backup: int,
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        now = epoch(self.journal.clock.now())
        wait = Wait.at(backup, now, Wait.read(memory.get("wait")))
        if wait.lasted(DELETE_PATIENCE, now):
            why = memory.get("problem") or "the brokers list it all the same"
            raise BackupFailed(f"Backup {backup} was not deleted: {why}. Its snapshots are kept.")
        self.journal.step(operation, BACKUP, f"deleting backup {backup} of the brokers")
        answer = self.changes.query(
            "delete", cluster, operation=operation.as_state(), backup=backup
        )
        kept = {"begun": True, "wait": wait.as_state(), "problem": str(answer["problem"])}
        return {"status": "WAITING", "wait": next_wait(wait.looks, near_end=False), "memory": kept}

    def _look(self, operation: Operation, cluster: ClusterOutputs) -> DatabaseSeen:
        marks = tags(self.control_stack, operation.cluster)
        return self.databases.look(cluster.database, marks)

    def _expire(
        self, operation: Operation, cluster: ClusterOutputs, days: int, since: datetime | None
    ) -> dict[str, Any]:
        """Delete what is out of the retention; the backup that was taken counts all the same."""
        brokers, problem = look_at_brokers(self.probe, cluster)
        deleted: list[str] = []
        try:
            database = self._look(operation, cluster)
            now = self.journal.clock.now()
            used = cluster.get(ORIGIN, "")
            for one in expired(database, brokers, since, days=days, now=now, used=used):
                self.journal.step(operation, BACKUP, f"deleting expired snapshot {one.name}")
                self.databases.delete(one.name)
                deleted.append(f"snapshot {one.name}")
        except LifecycleError as error:
            problem = error.message
        return {"status": "DONE", "deleted": deleted, "problem": problem.rstrip(".")}


def snapshots_of(backup: int, database: DatabaseSeen) -> list[SnapshotSeen]:
    """Return the manual snapshots of ours that belong to a backup of the brokers."""
    return [one for one in ours(database) if one.tags.get(TAG_BACKUP) == str(backup)]


def ours(database: DatabaseSeen) -> list[SnapshotSeen]:
    """Return the manual snapshots that were taken as part of a backup."""
    return [
        one for one in database.snapshots if one.manual and one.tags.get(TAG_PURPOSE) == PURPOSE
    ]


def copies(database: DatabaseSeen) -> list[SnapshotSeen]:
    """Return the manual snapshots that restores have taken of their copies."""
    return [one for one in database.snapshots if one.manual and one.tags.get(TAG_PURPOSE) == COPY]


def _of_the_stack(snapshots: Iterable[SnapshotSeen], since: datetime | None) -> list[SnapshotSeen]:
    """Return those whose database was created after the stack (``since``); unknown is not."""
    return [
        one
        for one in snapshots
        if since is not None and one.created is not None and one.created >= since
    ]


def _kept(snapshots: Iterable[SnapshotSeen], since: datetime | None) -> str:
    """Return which snapshots may be of an earlier cluster, in words; empty for none."""
    found = list(snapshots)
    own = _of_the_stack(found, since)
    names = ", ".join(one.name for one in found if one not in own)
    if not names:
        return ""
    return (
        f"kept: {names}, of a database that is not known to have been created after the stack: it "
        "may be an earlier cluster's of the name"
    )


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def refuse_deletion(
    backup: int,
    brokers: BackupsSeen,
    database: DatabaseSeen,
    since: datetime | None,
    *,
    used: str = "",
) -> str:
    """Return why a backup must not be deleted; empty where it may be.

    ``since`` is when the cluster's stack was created, None where that is not known. ``used``: name
    or ARN of the snapshot that the database was restored from, empty for none.
    """
    snapshots = snapshots_of(backup, database)
    if backup not in brokers.ids and not _of_the_stack(snapshots, since):
        why = _kept(snapshots, since) or "neither the brokers nor a snapshot have that id"
        return f"is not the cluster's: {why}"
    complete = [one.id for one in brokers.backups if one.state == COMPLETED]
    if complete and backup == max(complete):
        return "is the newest completed backup, without which nothing recent can be restored"
    if origin := next((one.name for one in snapshots if _is_used(one, used)), ""):
        return f"is not deleted: the database was restored from its snapshot {origin}"
    return ""


def _is_used(snapshot: SnapshotSeen, used: str) -> bool:
    """Return whether the stack names it: then it is what the database came from."""
    return used in {snapshot.name, snapshot.arn or snapshot.name}


def expired(
    database: DatabaseSeen,
    brokers: BackupsSeen | None,
    since: datetime | None,
    *,
    days: int,
    now: datetime,
    used: str = "",
) -> list[SnapshotSeen]:
    """Return the snapshots of ours that are older than the retention and of no use any more.

    The brokers' backup of such a one is gone, by Camunda's retention or by hand. Without a list of
    the brokers' backups, or without a retention, nothing is, and nothing of a database that is
    older than the stack (``since``), or may be. The one that the database was restored from
    (``used``) stays. One whose backup never completed goes when it is older, too: it has no
    id of a backup. So does one that a restore took of its copy: the former database, from which it
    can be made again, is kept on its own.
    """
    if brokers is None or not brokers.enabled or days < 1:
        return []
    there = {str(one) for one in brokers.ids}
    useless = [one for one in ours(database) if one.tags.get(TAG_BACKUP, "") not in there]
    return [
        one
        for one in _of_the_stack((*useless, *copies(database)), since)
        if one.at is not None and now - one.at > timedelta(days=days)
        if not _is_used(one, used)
    ]
