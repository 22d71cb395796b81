"""What every changing step does first: keep the cluster's lock, and record where it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.cluster.freeze import refuse_freeze
from lifecycle.errors import ClusterBusy, LockLost, OperationEnded
from lifecycle.observability import invocation
from lifecycle.operation.model import FUNCTION_SECONDS, LOCK_SECONDS, Acting, Lock, free_from
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

        Raises ``ClusterBusy`` naming the operation that holds the cluster, ``ClusterFrozen``,
        ``OperationEnded``.
        """
        self.refuse_ended(operation, "it began")
        self.take(operation)
        self.operations.begin(operation, now=self.clock.now())
        self.operations.watch_changes(operation)

    def take(self, operation: Operation) -> None:
        """Take the cluster for what begins. Raises as ``occupy`` does, and ``ClusterFrozen``.

        The freeze is read with the lock held: who froze the cluster before has seen it free.
        """
        self.occupy(operation)
        self._refuse_frozen(operation)

    def reserve(self, operation: Operation) -> None:
        """Take the cluster for an execution that is about to start; raises as ``take`` does.

        The function that does so changes nothing in the cluster, so that no deadline of it stands
        in the lock.
        """
        lock = replace(self._lock(operation), acting=frozenset())
        acquire(lock, self.locks, self.executions, self.clock)
        self._refuse_frozen(operation)

    def _refuse_frozen(self, operation: Operation) -> None:
        """Give a frozen cluster back."""
        freeze = self.locks.frozen(operation.ecs_cluster)
        if freeze is not None:
            self.give_back(operation)
            refuse_freeze(operation.ecs_cluster, freeze)

    def occupy(self, operation: Operation) -> None:
        """Take the cluster, frozen or not, to clean up what an operation has left.

        A lock is taken over if its owner ended and none of its functions acts.
        Raises ``ClusterBusy`` naming the operation that holds the cluster.
        """
        acquire(self._lock(operation), self.locks, self.executions, self.clock)
        self._settles(operation)

    def look(self, operation: Operation, step: str, detail: str) -> None:
        """Renew the lock and note the progress, where only something is read; raises as ``step``.

        An operation that has done no more can be cancelled.
        """
        now = self.clock.now()
        self.hold(operation, f"its step {step!r}")
        self.operations.progress(operation, step=step, detail=detail, now=now)

    def step(self, operation: Operation, step: str, detail: str) -> None:
        """Renew the lock and note the progress, before something is changed.

        Absent lock: taken. Own lock: extended. Raises ``LockLost`` for another owner's, and
        ``OperationEnded`` where the execution does not run any more (Lambda lets a function run
        on when its execution is stopped) and where the operation was cancelled.
        """
        now = self.clock.now()
        self.hold(operation, f"its step {step!r}")
        self.change(operation, f"its step {step!r}")
        self.operations.progress(operation, step=step, detail=detail, now=now)

    def change(self, operation: Operation, before: str) -> None:
        """Note that something is changed from now on; ``before``: before what.

        Raises ``OperationEnded`` where the operation was cancelled.
        """
        if not self.operations.begin_change(operation, now=self.clock.now()):
            raise OperationEnded(
                f"Operation {operation.operation_id} was cancelled before its first change; "
                f"the function stopped before {before}."
            )

    def hold(self, operation: Operation, before: str) -> None:
        """Renew the lock and note in it by when this function has ended, before it acts.

        Raises as ``step`` does, and ``ClusterFrozen`` for a frozen cluster that it no longer holds;
        ``before``: before what it stopped.
        """
        self.refuse_ended(operation, before)
        held = self.locks.held(operation.ecs_cluster)
        if held is None or held.owner != operation.execution_arn:
            # It has lost the cluster, or goes on after its end (a redrive): as if it began.
            refuse_freeze(operation.ecs_cluster, self.locks.frozen(operation.ecs_cluster))
        foreign = self.locks.take(self._lock(operation))
        if foreign is not None:
            raise LockLost(
                f"The lock of ECS cluster {operation.ecs_cluster} is now held by operation "
                f"{foreign.operation_id}; this operation stopped before {before}."
            )
        self._settles(operation)

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
        """Free the cluster of an operation that ends: at once, unless another function acts.

        Another function is an attempt whose response never came: Lambda may run it on although no
        state waits for it any more, whatever the operation did since.
        https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
        Then the lock stays, and records when the cluster becomes free. One that was renewed,
        released or taken over meanwhile stays as it is.
        """
        if not operation.ecs_cluster:
            return
        for one in self._acting(operation, own=True):
            self.locks.settle(operation.ecs_cluster, operation.execution_arn, one)
        lock = self.locks.held(operation.ecs_cluster)
        if lock is None or lock.owner != operation.execution_arn:
            return
        until = free_from(lock, ended=True)
        if until <= epoch(self.clock.now()):
            self.locks.free(lock)
        else:
            self.locks.shorten(lock, min(lock.expires_at, until))

    def others_act(self, operation: Operation) -> bool:
        """Return whether another function of the operation may still act."""
        now = epoch(self.clock.now())
        return any(one.until > now for one in self._acting(operation, own=False))

    def _acting(self, operation: Operation, *, own: bool) -> list[Acting]:
        """Return the functions in the operation's lock: of this invocation, or the others."""
        lock = self.locks.held(operation.ecs_cluster)
        if lock is None or lock.owner != operation.execution_arn:
            return []
        current = invocation()
        token = current.token if current is not None else ""
        return [one for one in lock.acting if (one.token == token) is own]

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
            acting=frozenset({acting(self.clock)}),
        )

    def _settles(self, operation: Operation) -> None:
        """Let the entry point of this function note that it acts no more."""
        current = invocation()
        if current is None:
            return
        one = acting(self.clock)
        current.at_return[operation.ecs_cluster, operation.execution_arn] = lambda: (
            self.locks.settle(operation.ecs_cluster, operation.execution_arn, one)
        )


def acting(clock: Clock) -> Acting:
    """Return this invocation and its deadline: when Lambda ends it, whatever it does.

    The same for the whole invocation. Outside of one, the longest time-out is assumed.
    """
    current = invocation()
    now = epoch(clock.now())
    if current is None:
        return Acting("", now + FUNCTION_SECONDS)
    if not current.until:
        current.until = now + min(math.ceil(current.remaining()), FUNCTION_SECONDS) + 1
    return Acting(current.token, current.until)


def acquire(lock: Lock, locks: Locks, executions: Executions, clock: Clock) -> None:
    """Take a lock, over from an owner that has ended and none of whose functions can still act.

    Raises ``ClusterBusy`` naming the operation that holds the cluster.
    """
    now = epoch(clock.now())
    foreign = locks.take(lock)
    if foreign is not None:
        if foreign.is_of_execution and executions.is_running(foreign.owner):
            raise busy(foreign)
        # Of what is no execution, Step Functions returns InvalidArn.
        ended = foreign.is_of_execution and executions.has_ended(foreign.owner)
        free = free_from(foreign, ended=ended)
        if free > now:
            raise _ended_just_now(foreign, free - now)
        foreign = locks.take(lock, instead_of=foreign)
    if foreign is not None:
        raise busy(foreign)


def busy(foreign: Lock) -> ClusterBusy:
    """Return the error of a cluster that another operation holds."""
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
