"""Take a backup of a cluster: look, take one step, look again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.backup.decisions import (
    PURPOSE,
    TAG_BACKUP,
    TAG_OPERATION,
    TAG_PURPOSE,
    Action,
    BackupMemory,
    BackupObserved,
    BackupWanted,
    decide_backup,
    snapshot_name,
)
from lifecycle.camunda.backups import read_backups
from lifecycle.cluster.names import TAG_GENERATION, tags
from lifecycle.errors import BackupFailed, BackupRefused, LifecycleError, ProbeAsleep
from lifecycle.operation.steps import BACKUP
from lifecycle.preflight.backup_gate import ACCEPT, good_until
from lifecycle.preflight.way_back import ACCEPT as NO_WAY_BACK
from lifecycle.services.images import read_version, versions
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lifecycle.backup.decisions import BackupDecision
    from lifecycle.backup.ports import BackupChanges, DatabaseBackups, DatabaseSeen, SnapshotSeen
    from lifecycle.camunda.backups import BackupsSeen, PrimaryBackup
    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation

# Seconds after a request without an answer: by then the brokers list the backup if there is one.
SETTLED_AFTER: Final = 15
_ENDS: Final = {Action.FRESH, Action.TAKEN, Action.WAIVED}


@dataclass(frozen=True, slots=True)
class BackupTaker:
    """The use case and its ports."""

    probe: Probe
    databases: DatabaseBackups
    changes: BackupChanges
    journal: Journal
    control_stack: str

    def take(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        *,
        request: Mapping[str, Any],
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Take the next step; repeating it takes no second snapshot and no second backup.

        ``request``: ``maxAgeHours`` (null takes a backup in any case, a number accepts a completed
        one that is younger), ``acceptNoBackup`` and ``snapshot`` (whether a manual snapshot of the
        database is taken, or its continuous backup is enough). With ``acceptNoWayBack``, brokers
        that are not of the stack's minor version yet need a snapshot, and only this waives it.
        ``memory`` is what the last look returned, empty at first.

        Returns ``status`` ``TAKEN``, ``FRESH``, ``WAIVED`` or ``WAITING``, ``wait`` (seconds),
        ``memory``, ``until`` (of ``good_until``) and ``backup``: ``id`` (0 for none), ``state``,
        ``at``, ``snapshot``, ``snapshotAt`` (empty for none), ``partitions``, ``version`` and
        ``reason``. Raises ``BackupRefused`` (nothing was changed) and ``BackupFailed`` (naming
        what exists).
        """
        wanted = _wanted(request)
        seen = self._observe(operation, cluster, wanted, BackupMemory.read(memory))
        if NO_WAY_BACK in request and _become_another_minor(seen.brokers, cluster):
            accepted = request[NO_WAY_BACK] is True
            seen = replace(seen, wanted=replace(wanted, snapshot=True, accept_none=accepted))
        decision = decide_backup(seen)
        if decision.action is Action.REFUSE:
            raise BackupRefused(
                f"No backup of cluster {operation.cluster} can be taken: {decision.reason}."
            )
        if decision.action is Action.FAIL:
            raise BackupFailed(
                f"The backup of cluster {operation.cluster} is not complete: {decision.reason}. "
                f"{_kept(seen)}"
            )
        kept = decision.memory
        if decision.action is Action.SNAPSHOT:
            self.journal.step(operation, BACKUP, f"taking {decision.reason}")
            marks = {
                TAG_PURPOSE: PURPOSE,
                TAG_OPERATION: operation.operation_id,
                TAG_GENERATION: cluster.get("DataGeneration", "1"),
            }
            everything = {**tags(self.control_stack, operation.cluster), **marks}
            self.databases.snapshot(cluster.database, seen.name, everything)
        elif decision.action is Action.BACK_UP:
            self.journal.step(operation, BACKUP, "requesting a backup of the brokers")
            kept = self._request(operation, cluster, kept)
            if not kept.requested:
                decision = replace(decision, seconds=SETTLED_AFTER)
        elif decision.action is Action.TAKEN and decision.backup and decision.snapshot:
            self._join(operation, decision.snapshot, decision.backup)
        else:
            self.journal.look(operation, BACKUP, decision.reason)
        return _answer(replace(decision, memory=kept), wanted)

    def _observe(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        wanted: BackupWanted,
        memory: BackupMemory,
    ) -> BackupObserved:
        brokers, brokers_problem = look_at_brokers(self.probe, cluster)
        has_database = bool(cluster.get("DatabaseClusterId"))
        database: DatabaseSeen | None = None
        database_problem = ""
        if has_database:
            try:
                marks = tags(self.control_stack, operation.cluster)
                database = self.databases.look(cluster.database, marks)
            except LifecycleError as error:
                database_problem = error.message.rstrip(".")
        started = datetime.fromisoformat(operation.started_at)
        return BackupObserved(
            now=self.journal.clock.now(),
            wanted=wanted,
            memory=memory,
            brokers=brokers,
            brokers_problem=brokers_problem,
            has_database=has_database,
            database=database,
            database_problem=database_problem,
            name=snapshot_name(cluster.database, started) if has_database else "",
        )

    def _request(
        self, operation: Operation, cluster: ClusterOutputs, memory: BackupMemory
    ) -> BackupMemory:
        """Have the brokers take a backup, unless they list one after ``memory.above``."""
        started = datetime.fromisoformat(operation.started_at)
        answer = self.changes.query(
            "take",
            cluster,
            operation=operation.as_state(),
            above=memory.above,
            own=max(int(started.timestamp() * 1000), memory.above + 1),
            continuous=cluster.get("ContinuousBackup", ""),
        )
        return replace(memory, requested=int(answer["id"]), said=str(answer["problem"]))

    def _join(self, operation: Operation, snapshot: SnapshotSeen, backup: PrimaryBackup) -> None:
        """Write into the snapshot's tags which backup belongs to it."""
        if snapshot.tags.get(TAG_BACKUP) == str(backup.id):
            return
        self.journal.step(operation, BACKUP, f"backup {backup.id} is complete")
        self.databases.tag(snapshot, {TAG_BACKUP: str(backup.id)})


def _become_another_minor(brokers: BackupsSeen | None, cluster: ClusterOutputs) -> bool:
    """Whether the brokers' newest backup is of another minor version than the stack's image."""
    listed = brokers.backups if brokers is not None else ()
    was = next((found for one in listed if (found := read_version(one.version))), None)
    becomes = versions(cluster).brokers
    return was is not None and becomes is not None and was[:2] != becomes[:2]


def look_at_brokers(
    probe: Probe, cluster: ClusterOutputs, *, also: Collection[int] = ()
) -> tuple[BackupsSeen | None, str]:
    """Return what the brokers list, None where it could not be read, and why.

    ``also``: ids of backups that are wanted with their parts however old they are.
    Raises ``ProbeAsleep``, after which Lambda needs minutes: the state machine retries it for them.
    """
    try:
        wanted = {"also": sorted(also)} if also else {}
        answer = probe.query("backups", cluster, **wanted)
        seen = answer["seen"]
        return (None, str(answer["problem"])) if seen is None else (read_backups(seen), "")
    except ProbeAsleep:
        raise
    except LifecycleError as error:
        return None, error.message.rstrip(".")


def backup_document(decision: BackupDecision) -> dict[str, Any]:
    """Return the pair as functions, reports and the API carry it; without one, only the reason."""
    backup, snapshot = decision.backup, decision.snapshot
    return {
        "id": backup.id if backup else 0,
        "state": backup.state if backup else "",
        "at": written(backup.at) if backup and backup.at else "",
        "snapshot": snapshot.name if snapshot else "",
        "snapshotAt": written(snapshot.at) if snapshot and snapshot.at else "",
        "partitions": len(backup.parts) if backup else 0,
        "version": backup.version if backup else "",
        "reason": decision.reason,
    }


def _answer(decision: BackupDecision, wanted: BackupWanted) -> dict[str, Any]:
    ended = decision.action in _ENDS
    pair = [one.at for one in (decision.backup, decision.snapshot) if one is not None]
    return {
        "status": str(decision.action) if ended else "WAITING",
        "wait": decision.seconds,
        "memory": decision.memory.as_state(),
        "until": good_until(pair, wanted.max_age) if ended else "",
        "backup": backup_document(decision),
    }


def _wanted(request: Mapping[str, Any]) -> BackupWanted:
    age = request.get("maxAgeHours")
    return BackupWanted(
        max_age=None if age is None else int(age),
        accept_none=request.get(ACCEPT, False) is True,
        snapshot=request.get("snapshot", True) is True,
    )


def _kept(seen: BackupObserved) -> str:
    """Name what the operation leaves behind."""
    found = []
    snapshots = seen.database.snapshots if seen.database is not None else ()
    if any(one.manual and one.name == seen.name for one in snapshots):
        found.append(f"Snapshot {seen.name} is kept")
    backups = seen.brokers.backups if seen.brokers is not None else ()
    if seen.memory.above >= 0:
        ids = [str(one.id) for one in backups if one.id > seen.memory.above]
        found.append(f"Backups of the brokers since it began: {', '.join(ids) or 'none'}")
    return f"{'. '.join(found)}." if found else "It left nothing behind."
