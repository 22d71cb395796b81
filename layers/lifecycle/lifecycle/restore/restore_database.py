"""Bring the database of the moment into a snapshot, and give the restored one its password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.backup.decisions import TAG_BACKUP, TAG_PURPOSE
from lifecycle.cluster.former_data import COPY
from lifecycle.cluster.names import TAG_GENERATION, tags
from lifecycle.cluster.polling import Wait, next_wait
from lifecycle.errors import RestoreFailed
from lifecycle.operation.steps import DATABASE_LOGIN, DATABASE_RESTORED
from lifecycle.restore.decisions import DATABASE_PATIENCE, DatabaseAction, decide_database
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.camunda.ports import Users
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.restore.ports import RestoredDatabases

_PASSWORD_PATIENCE: Final = 15 * 60


@dataclass(frozen=True, slots=True)
class DatabaseRestorer:
    """Look, and take one step; what exists decides, so that a repetition continues."""

    databases: RestoredDatabases
    users: Users
    journal: Journal
    control_stack: str

    def restore(
        self, operation: Operation, target: Mapping[str, Any], memory: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Take the next step until the snapshot that the stack is to restore is available.

        ``target`` is that of the validated request, ``memory`` what the last look returned. Returns
        ``status`` ``RESTORED``, or ``WAITING`` with ``wait`` (seconds) and ``memory``. Raises
        ``RestoreFailed``, ``RestoreRefused`` and ``AwsUnavailable``; the present database is not
        touched.
        """
        snapshot, staging = str(target["snapshot"]), str(target["staging"])
        made = bool(target["source"])
        decision = decide_database(
            snapshot=self.databases.snapshot(snapshot),
            staging=self.databases.database(staging),
            names=(snapshot, staging),
            made=made,
            own=bool(target["databaseAt"]),
        )
        self.journal.look(operation, DATABASE_RESTORED, decision.reason)
        labels = self._tags(operation, target)
        match decision.action:
            case DatabaseAction.DONE:
                return {"status": "RESTORED"}
            case DatabaseAction.FAIL:
                raise RestoreFailed(
                    f"The database could not be restored: {decision.reason}.",
                    next_step="The cluster is as it was. Delete what is named, then start the same "
                    "request again; if it repeats, request another backup.",
                )
            case DatabaseAction.RESTORE:
                self.journal.step(operation, DATABASE_RESTORED, f"{staging} is being restored")
                at = datetime.fromisoformat(target["databaseAt"])
                self.databases.restore_to(staging, source=str(target["source"]), at=at, tags=labels)
            case DatabaseAction.SNAPSHOT:
                self.journal.step(operation, DATABASE_RESTORED, f"{snapshot} is being created")
                self.databases.take(snapshot, of=staging, tags=labels)
            case DatabaseAction.REMOVE:
                self.journal.step(operation, DATABASE_RESTORED, f"{staging} is being deleted")
                self.databases.remove(staging, tags=labels)
            case DatabaseAction.WAIT:
                pass
        return self._waiting(decision.reason, memory)

    def _tags(self, operation: Operation, target: Mapping[str, Any]) -> dict[str, str]:
        return {
            **tags(self.control_stack, operation.cluster),
            TAG_PURPOSE: COPY,
            TAG_GENERATION: str(target["generation"]),
            TAG_BACKUP: str(target["backup"]),
        }

    def _waiting(self, reason: str, memory: Mapping[str, Any]) -> dict[str, Any]:
        now = epoch(self.journal.clock.now())
        wait = Wait.at(reason, now, Wait.read(memory.get("waited")))
        if wait.lasted(DATABASE_PATIENCE, now):
            raise RestoreFailed(
                f"For {DATABASE_PATIENCE // 3600} hours {reason}.",
                next_step="The cluster is as it was. Look at it in RDS, then start the same "
                "request again: it waits for what exists.",
            )
        seconds = next_wait(wait.looks, near_end=False)
        return {"status": "WAITING", "wait": seconds, "memory": {"waited": wait.as_state()}}

    def set_password(
        self, operation: Operation, cluster: ClusterOutputs, memory: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Give the administrator of the restored database the password of the cluster's secret.

        The snapshot has the password of its time. Repeating is harmless. Returns as ``restore``
        does, ``SET`` at the end. Raises ``RestoreFailed``, ``SecretRefused``, ``SecretUnreadable``.
        """
        found = self.databases.database(cluster.database)
        now = epoch(self.journal.clock.now())
        wait = Wait.at("password", now, Wait.read(memory.get("waited")))
        if memory.get("set") and found.status == "available" and found.settled:
            self.journal.step(operation, DATABASE_LOGIN, "done")
            return {"status": "SET"}
        if not found.exists or wait.lasted(_PASSWORD_PATIENCE, now):
            raise RestoreFailed(
                f"The restored database {cluster.database} is {found.status or 'gone'}: its "
                "administrator could not be given the password of the secret."
            )
        done = bool(memory.get("set"))
        if not done and found.status == "available":
            admin = self.users.credentials(
                cluster.required("DatabaseAdminSecretArn"), cluster.cluster_name
            )
            self.journal.step(operation, DATABASE_LOGIN, cluster.database)
            self.databases.set_password(cluster.database, admin)
            done = True
        kept = {"set": done, "waited": wait.as_state()}
        return {"status": "WAITING", "wait": next_wait(wait.looks, near_end=False), "memory": kept}
