"""Let an operation go on that was stopped or timed out, from the state in which it ended.

Its execution is redriven with what it remembers, so that it goes on only if nothing has changed
the cluster since, with the lock in its name, and under the rules of a start.
Source: https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.find import find_stack
from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.errors import ClusterBusy, ClusterNotFound, OperationNotResumable
from lifecycle.operation.cancel import refuse_other_name
from lifecycle.operation.model import free_from
from lifecycle.times import epoch

if TYPE_CHECKING:
    from lifecycle.cluster.ports import ClusterStacks
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.ports import Machines, Records
    from lifecycle.operation.read import OperationReader
    from lifecycle.operation.record import Execution, Record

type Approval = Callable[[str, Mapping[str, object], str], None]

_LOOKED_AT: Final = 100


@dataclass(frozen=True, slots=True)
class OperationResumer:
    """The use case and its ports. ``approve`` rejects what needs a second principal's review."""

    operations: OperationReader
    machines: Machines
    records: Records
    journal: Journal
    stacks: ClusterStacks
    control_stack: str
    approve: Approval

    def resume(self, operation_id: str, caller: str) -> tuple[Record, Execution | None]:
        """Redrive an operation's execution for a principal (ARN), with the cluster's lock.

        Returns record and execution. Raises ``OperationNotFound``, ``OperationNotResumable``,
        ``ClusterBusy``, ``ClusterFrozen`` and ``SecondApproverRequired``; then nothing was started.
        """
        record, execution = self.operations.find(operation_id)
        refuse_other_name(record, OperationNotResumable)
        execution = self._ended(record, execution)
        self._refuse_frozen_by_tag(record)
        self.approve(record.machine, _input(record, execution), caller)
        self._refuse_acting(record)
        before = self.journal.locks.held(record.ecs_cluster)
        held = before is not None and before.owner == record.execution_arn
        self.journal.reserve(record.operation)
        try:
            self._refuse_superseded(record)
            self.machines.redrive(record.execution_arn)
        except OperationNotResumable:
            # Another request may have been faster, which what is read here may not show yet: then
            # the lock is that of what runs. That of an ended execution is taken over at once.
            if not held:
                self.journal.give_back(record.operation)
            raise
        self.records.resume(record, by=caller, now=self.journal.clock.now())
        record = replace(
            self.records.find(operation_id, record.machine) or record, resumed_by=caller
        )
        there = self.machines.describe(record.execution_arn)
        if there is not None and there.is_running:
            return record, there
        # What is read right after the redrive may be from before it: eventually consistent.
        return record, replace(execution, status="RUNNING", ended_at="", error="", cause="")

    def _ended(self, record: Record, execution: Execution | None) -> Execution:
        """Return the execution of an operation that may go on; refuse any other."""
        name = record.operation_id
        if not record.ecs_cluster:
            raise OperationNotResumable(f"Operation {name} only reads; it is started anew instead.")
        if execution is None:
            raise OperationNotResumable(f"Operation {name} never ran, or ended 90 days ago.")
        if execution.is_running:
            raise OperationNotResumable(
                f"Operation {name} is {execution.status}.",
                next_step="Nothing was started. Follow it (GET /operations/{id}).",
            )
        if execution.status == "SUCCEEDED":
            raise OperationNotResumable(
                f"Operation {name} has succeeded.", next_step="Nothing is left to be done."
            )
        if record.cancelled_at:
            raise OperationNotResumable(f"Operation {name} was cancelled before its first change.")
        if not record.result:
            raise OperationNotResumable(
                f"The end of operation {name} is not recorded yet.",
                next_step="Nothing was started. Send the request again in a minute.",
            )
        if execution.status == "FAILED" and self.machines.ended_in_fail_state(execution.arn):
            raise OperationNotResumable(
                f"Operation {name} has failed with {execution.error or 'an error'}, and its "
                "execution came to its end; a redrive would only fail again.",
            )
        return execution

    def _refuse_frozen_by_tag(self, record: Record) -> None:
        try:
            stack = find_stack(self.stacks, self.control_stack, record.cluster)
        except ClusterNotFound:  # the first provisioning, or a teardown that removed the stack
            return
        refuse_if_frozen(stack.name, stack.tags)

    def _refuse_acting(self, record: Record) -> None:
        """Refuse while a function of the operation may run that was stopped with its execution."""
        lock = self.journal.locks.held(record.ecs_cluster)
        if lock is None or lock.owner != record.execution_arn:
            return
        seconds = free_from(lock, ended=True) - epoch(self.journal.clock.now())
        if seconds > 0:
            raise ClusterBusy(
                f"A function of operation {record.operation_id} may still be running; nothing was "
                "changed.",
                next_step=f"Send the request again in {seconds} seconds.",
                operation_id=record.operation_id,
                seconds=seconds,
            )

    def _refuse_superseded(self, record: Record) -> None:
        """Refuse where another operation held the cluster since: what this one remembers is old.

        It is read with the lock held, so that none begins afterwards.
        """
        found = self.records.of_cluster(record.cluster, _LOOKED_AT)
        # An earlier one that began to run, or was redriven, after this one's end has a later end.
        since = [
            one
            for one in found
            if one.started_at >= record.started_at or one.ended_at > record.ended_at
        ]
        later = [
            one.operation_id
            for one in since
            if one.ecs_cluster and one.execution_arn != record.execution_arn
        ]
        if len(since) == _LOOKED_AT:  # there may be more
            later.append(since[-1].operation_id)
        if later:
            raise OperationNotResumable(
                f"Since operation {record.operation_id}, operation {later[0]} held cluster "
                f"{record.cluster}; what the first one remembers is no longer true.",
            )


def _input(record: Record, execution: Execution) -> dict[str, object]:
    try:
        found = json.loads(execution.input)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("clusterName") != record.cluster:
        raise OperationNotResumable(
            f"The execution of operation {record.operation_id} was not started with a request for "
            f"cluster {record.cluster}."
        )
    return found
