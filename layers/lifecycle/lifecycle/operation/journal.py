"""What every changing step does first: keep the cluster's lock, and record where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.errors import ClusterBusy, LockLost, OperationEnded
from lifecycle.operation.model import LOCK_SECONDS, Lock, free_from
from lifecycle.times import epoch

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Clock
    from lifecycle.operation.model import Operation
    from lifecycle.operation.ports import Executions, Locks, Operations


@dataclass(frozen=True, slots=True)
class Journal:
    """Lock and record of operations."""

    locks: Locks
    operations: Operations
    executions: Executions
    clock: Clock

    def begin(self, operation: Operation) -> None:
        """Take the cluster for the operation and write its record. Repeating it is harmless.

        Raises ``ClusterBusy`` naming the operation that holds the cluster, ``OperationEnded``.
        """
        self.refuse_ended(operation, "it began")
        self.take(operation)
        self.operations.begin(operation, now=self.clock.now())

    def take(self, operation: Operation) -> None:
        """Take the cluster. A lock is taken over if its owner ended and none of its functions acts.

        Raises ``ClusterBusy`` naming the operation that holds the cluster.
        """
        acquire(self._lock(operation), self.locks, self.executions, self.clock)

    def step(self, operation: Operation, step: str, detail: str) -> None:
        """Renew the lock and note the progress, before something is changed.

        Absent lock: taken. Own lock: extended. Raises ``LockLost`` for another owner's, and
        ``OperationEnded`` where the execution does not run any more: Lambda lets a function run
        on when its execution is stopped.
        """
        self.refuse_ended(operation, f"its step {step!r}")
        now = self.clock.now()
        foreign = self.locks.take(self._lock(operation))
        if foreign is not None:
            raise LockLost(
                f"The lock of ECS cluster {operation.ecs_cluster} is now held by operation "
                f"{foreign.operation_id}; this operation stopped before its step {step!r}."
            )
        self.operations.progress(operation, step=step, detail=detail, now=now)

    def refuse_ended(self, operation: Operation, before: str) -> None:
        """Refuse to act for an execution that ended; ``before``: before what it stopped.

        What is read may be a moment old, so that this narrows the window and does not close it;
        that no one takes the lock over before the function must have ended does.
        """
        if self.executions.has_ended(operation.execution_arn):
            raise OperationEnded(
                f"The execution of operation {operation.operation_id} is no longer running; "
                f"nothing was done after that, the function stopped before {before}."
            )

    def release(self, operation: Operation) -> None:
        """Give the cluster back."""
        if operation.ecs_cluster:
            self.locks.release(operation.ecs_cluster, operation.execution_arn)

    def give_back(self, operation: Operation) -> None:
        """Free the cluster of an operation whose function may still run: not yet, but soon.

        The lock stays, and records when the cluster becomes free. One that was renewed, released or
        taken over meanwhile stays as it is.
        """
        lock = self.locks.held(operation.ecs_cluster) if operation.ecs_cluster else None
        if lock is not None and lock.owner == operation.execution_arn:
            self.locks.shorten(lock, min(lock.expires_at, free_from(lock)))

    def _lock(self, operation: Operation) -> Lock:
        if not operation.ecs_cluster:
            message = f"Operation {operation.operation_id} names no ECS cluster to hold."
            raise ValueError(message)
        now = epoch(self.clock.now())
        return Lock(
            ecs_cluster=operation.ecs_cluster,
            owner=operation.execution_arn,
            operation_id=operation.operation_id,
            expires_at=now + LOCK_SECONDS,
            renewed_at=now,
        )


def acquire(lock: Lock, locks: Locks, executions: Executions, clock: Clock) -> None:
    """Take a lock, over from an owner that has ended and none of whose functions can still act.

    Raises ``ClusterBusy`` naming the operation that holds the cluster.
    """
    now = epoch(clock.now())
    foreign = locks.take(lock)
    if foreign is not None:
        if _acts(foreign, executions, now):
            raise _busy(foreign)
        if free_from(foreign) > now:
            raise _ended_just_now(foreign, free_from(foreign) - now)
        foreign = locks.take(lock, instead_of=foreign)
    if foreign is not None:
        raise _busy(foreign)


def _acts(foreign: Lock, executions: Executions, now: int) -> bool:
    """Whether an owner may act; one that is no execution states how long it takes."""
    if foreign.owner.startswith("arn:"):
        return executions.is_running(foreign.owner)
    return foreign.expires_at > now


def _busy(foreign: Lock) -> ClusterBusy:
    return ClusterBusy(
        f"ECS cluster {foreign.ecs_cluster} is held by operation {foreign.operation_id} "
        f"({foreign.owner}); nothing was changed.",
        operation_id=foreign.operation_id,
    )


def _ended_just_now(foreign: Lock, seconds: int) -> ClusterBusy:
    return ClusterBusy(
        f"Operation {foreign.operation_id} of ECS cluster {foreign.ecs_cluster} has ended, but one "
        "of its functions may still be running; nothing was changed.",
        next_step=f"Start again in {seconds} seconds.",
        operation_id=foreign.operation_id,
        seconds=seconds,
    )
