"""What every changing step does first: keep the cluster's lock, and say where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.core.operation import LOCK_SECONDS, Lock, LockDecision, on_foreign_lock
from lifecycle.errors import ClusterBusy, LockLost

if TYPE_CHECKING:
    from lifecycle.core.operation import Operation
    from lifecycle.ports import Clock, Executions, Locks, Operations


@dataclass(frozen=True, slots=True)
class Journal:
    """Lock and record of operations."""

    locks: Locks
    operations: Operations
    executions: Executions
    clock: Clock

    def begin(self, operation: Operation) -> None:
        """Take the cluster for the operation and write its record. Repeating it is harmless.

        Raises ``ClusterBusy`` naming the operation that holds the cluster.
        """
        self.take(operation)
        self.operations.begin(operation, now=self.clock.now())

    def take(self, operation: Operation) -> None:
        """Take the cluster. An expired lock is taken over only if its owner does not run.

        Raises ``ClusterBusy`` naming the operation that holds the cluster.
        """
        lock = self._lock(operation)
        now = int(self.clock.now().timestamp())
        foreign = self.locks.take(lock, now=now)
        if foreign is not None and on_foreign_lock(foreign, now) is LockDecision.ASK_OWNER:
            if self.executions.is_running(foreign.owner):
                raise self._busy(foreign)
            foreign = self.locks.take(lock, now=now, instead_of=foreign)
        if foreign is not None:
            raise self._busy(foreign)

    def step(self, operation: Operation, step: str, detail: str) -> None:
        """Renew the lock and note the progress, before something is changed.

        Absent lock: taken. Own lock: extended. Raises ``LockLost`` for anybody else's.
        """
        now = self.clock.now()
        foreign = self.locks.take(self._lock(operation), now=int(now.timestamp()))
        if foreign is not None:
            raise LockLost(
                f"The lock of cluster {operation.cluster} is now held by operation "
                f"{foreign.operation_id}; this operation stopped before its step {step!r}."
            )
        self.operations.progress(operation, step=step, detail=detail, now=now)

    def release(self, operation: Operation) -> None:
        """Give the cluster back."""
        self.locks.release(operation.cluster, operation.execution_arn)

    def _lock(self, operation: Operation) -> Lock:
        return Lock(
            cluster=operation.cluster,
            owner=operation.execution_arn,
            operation_id=operation.operation_id,
            expires_at=int(self.clock.now().timestamp()) + LOCK_SECONDS,
        )

    @staticmethod
    def _busy(foreign: Lock) -> ClusterBusy:
        return ClusterBusy(
            f"Cluster {foreign.cluster} is held by operation {foreign.operation_id} "
            f"({foreign.owner}); nothing was changed.",
            operation_id=foreign.operation_id,
        )
