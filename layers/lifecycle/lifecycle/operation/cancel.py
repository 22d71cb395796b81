"""Cancel an operation before its first change.

The first change and the cancellation are two conditional writes on one item, so that exactly one
of them succeeds: a cancelled operation changes nothing, and one that has begun to change something
is never interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.errors import Failure, LifecycleError, OperationNotCancellable
from lifecycle.operation.idempotency import split_operation_id

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Clock
    from lifecycle.operation.ports import Machines, Records
    from lifecycle.operation.read import OperationReader
    from lifecycle.operation.record import Execution, Record

CANCELLED: Final = "OperationCancelled"
"""Error of an execution that was stopped by a cancellation."""


@dataclass(frozen=True, slots=True)
class OperationCanceller:
    """The use case and its ports."""

    operations: OperationReader
    machines: Machines
    records: Records
    clock: Clock

    def cancel(self, operation_id: str, caller: str) -> tuple[Record, Execution | None]:
        """Cancel an operation for a principal (ARN); once more is harmless.

        Returns record and execution. Raises ``OperationNotFound`` and ``OperationNotCancellable``
        naming what has changed or what is not known; the operation then goes on.
        """
        record, execution = self.operations.find(operation_id)
        refuse_other_name(record, OperationNotCancellable)
        if not record.ecs_cluster:
            raise OperationNotCancellable(
                f"Operation {operation_id} only reads: there is nothing to cancel.",
                next_step="Nothing was stopped. It ends by itself within minutes.",
            )
        if execution is None or not execution.is_running:
            if record.cancelled_at and execution is not None:
                return record, execution
            status = execution.status if execution is not None else "NOT_STARTED"
            raise OperationNotCancellable(f"Operation {operation_id} does not run: it is {status}.")
        now = self.clock.now()
        there = self.records.cancel(record.operation, by=caller, now=now)
        if there is None or not there.cancelled_at:
            raise _refused(there or record)
        self.machines.stop(
            record.execution_arn,
            error=CANCELLED,
            cause=Failure(
                CANCELLED,
                f"Cancelled by {there.cancelled_by or 'an unknown principal'} before anything in "
                "the cluster was changed.",
                "None, if it was cancelled on purpose; otherwise send the request again with a "
                "new Idempotency-Key.",
                "Nothing in the cluster was changed.",
            ).to_cause(),
        )
        return there, self.machines.describe(record.execution_arn)


def refuse_other_name(record: Record, error: type[LifecycleError]) -> None:
    """Refuse an operation whose id is not of its own machine and cluster.

    Permissions rest on the path, in which the id names cluster and machine. An execution that was
    started in the console may have any name.
    """
    parts = split_operation_id(record.operation_id)
    if parts is None or parts[:2] != (record.cluster, record.machine):
        raise error(
            f"Operation {record.operation_id} is one of the {record.machine} machine for cluster "
            f"{record.cluster}, which its name does not show: it was not started through the API.",
            next_step=f"Use Step Functions for the execution {record.execution_arn}.",
        )


def _refused(record: Record) -> OperationNotCancellable:
    name = record.operation_id
    if record.changed_at:
        steps = [one["step"] for one in record.timeline if one["at"] >= record.changed_at]
        done = ", ".join(dict.fromkeys([*steps, record.step or "its first step"]))
        return OperationNotCancellable(
            f"Operation {name} changes cluster {record.cluster} since {record.changed_at}: {done}. "
            "It is not interrupted between its first change and its end.",
            next_step="Nothing was stopped. Let it end; then start the operation that leads back.",
        )
    if record.result:
        return OperationNotCancellable(f"Operation {name} has ended: {record.result}.")
    return OperationNotCancellable(
        f"Operation {name} has not recorded its beginning, so that it is not known whether it has "
        "changed something.",
        next_step="Nothing was stopped. Send the request again in a few seconds.",
    )
