"""Start an operation for a caller: the same request is the same operation, however often it comes.

The cluster's lock is taken with the execution's future ARN before anything is started, so that a
busy cluster is refused here; the machine then finds its own lock. The machine decides races.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.errors import (
    IdempotencyKeyReused,
    LifecycleError,
    StartOutcomeUnknown,
)
from lifecycle.operation.idempotency import Known, canonical, compare, digest, operation_id
from lifecycle.operation.model import Operation
from lifecycle.operation.record import Execution, Record
from lifecycle.times import written

if TYPE_CHECKING:
    from lifecycle.operation.arns import MachineArns
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.ports import Machines, Records

type Validator = Callable[[Mapping[str, object]], str]
type Approval = Callable[[str, Mapping[str, object], str], None]
"""Refuses a verb's request of a caller (ARN) that needs a second principal's review."""


@dataclass(frozen=True, slots=True)
class OperationStarter:
    """The use case and its ports.

    ``validators`` check a machine's input, by verb, and return the name of the ECS cluster that the
    operation has to hold, empty for one that only reads; ``new_key`` makes a key for a request that
    brings none; ``approve`` rejects a request that needs a review and has none.
    """

    machines: Machines
    records: Records
    journal: Journal
    arns: MachineArns
    validators: Mapping[str, Validator]
    new_key: Callable[[], str]
    approve: Approval

    def start(
        self,
        verb: str,
        request: Mapping[str, object],
        *,
        key: str | None,
        caller: str,
        condition: Callable[[], None] = lambda: None,
    ) -> tuple[Record, Execution | None]:
        """Start the verb's machine with ``request`` as its input, or find that it was started.

        ``condition`` raises what keeps a new operation from being started; it is called with the
        cluster's lock.

        Returns the record and, for an operation that was there already, its execution. Raises
        ``InvalidRequest``, ``SecondApproverRequired``, ``ClusterBusy``, ``IdempotencyKeyReused``,
        ``MachineNotDeployed``, ``AwsRefused`` (nothing was started) or ``StartOutcomeUnknown``
        (the lock stays; requesting again with the same key is safe).
        """
        text = canonical(request)
        operation = self._operation(verb, str(request["clusterName"]), key or self.new_key())
        if key is not None:
            there = self._there(operation, text)
            if there is not None:
                return there
        ecs_cluster = self.validators[verb](request)
        self.approve(verb, request, caller)
        operation = replace(operation, ecs_cluster=ecs_cluster)
        return self._begin(operation, text, caller, condition)

    def _operation(self, verb: str, cluster: str, key: str) -> Operation:
        name = operation_id(cluster, verb, key)
        # As Step Functions writes it, so that operations sort by it whatever started them.
        now = written(self.journal.clock.now())
        return Operation(name, self.arns.execution(verb, name), cluster, verb, now)

    def _there(self, operation: Operation, text: str) -> tuple[Record, Execution | None] | None:
        """Return the operation with this id; None when it is still to be started."""
        record = self.records.find(operation.operation_id, operation.machine)
        execution = self.machines.describe(operation.execution_arn)
        known = compare(
            text,
            recorded=record.request_hash if record else None,
            execution_input=execution.input if execution else None,
        )
        if known is Known.OTHER:
            raise _reused(operation)
        if execution is None and not (record and record.result):
            return None
        return record or _as_record(operation), execution

    def _begin(
        self, operation: Operation, text: str, caller: str, condition: Callable[[], None]
    ) -> tuple[Record, Execution | None]:
        # One that only reads takes no lock: nothing would free it.
        if operation.ecs_cluster:
            self.journal.reserve(operation)
        repeated = self._meet(operation, text, condition)
        try:
            there = self.records.claim(
                operation, caller=caller, request_hash=digest(text), now=self.journal.clock.now()
            )
        except Exception:
            if not repeated:
                self._withdraw(operation, text)
            raise
        if there is not None and there.request_hash != digest(text):
            self._release_if_ended(operation)
            raise _reused(operation)
        record = there or _as_record(operation, caller=caller, request_hash=digest(text))
        try:
            started = self.machines.start(
                self.arns.machine(operation.machine), operation.operation_id, text
            )
        except StartOutcomeUnknown:
            execution = self.machines.describe(operation.execution_arn)
            if execution is None:
                raise
            return record, execution
        except LifecycleError:
            # What another request with this key has claimed is about to start, or is free soon.
            if there is None:
                self._withdraw(operation, text)
            raise
        if started:
            return record, None
        execution = self._release_if_ended(operation)
        given = execution.input if execution else None
        if compare(text, recorded=None, execution_input=given) is Known.OTHER:
            raise _reused(operation)
        return record, execution

    def _meet(self, operation: Operation, text: str, condition: Callable[[], None]) -> bool:
        """Call the condition of a new operation; return whether the request is a repeated one.

        A repeated request has met it: its own record is a change of the cluster by now.
        """
        if self._is_claimed(operation, text):
            return True
        try:
            condition()
        except Exception:
            if self._is_claimed(operation, text):  # meanwhile, by another request with this key
                return True
            if self.machines.describe(operation.execution_arn) is None:
                self.journal.release(operation)
            raise
        return False

    def _is_claimed(self, operation: Operation, text: str) -> bool:
        record = self.records.find(operation.operation_id, operation.machine)
        return record is not None and record.request_hash == digest(text)

    def _withdraw(self, operation: Operation, text: str) -> None:
        """Leave nothing behind, unless another request with this key got further than ours."""
        if self.machines.describe(operation.execution_arn) is None:
            self.records.withdraw(operation, digest(text))
            self.journal.release(operation)

    def _release_if_ended(self, operation: Operation) -> Execution | None:
        """Another request with this key was faster: its end has freed the lock, so must ours."""
        execution = self.machines.describe(operation.execution_arn)
        if execution is not None and not execution.is_running:
            self.journal.give_back(operation)
        return execution


def _as_record(operation: Operation, *, caller: str = "", request_hash: str = "") -> Record:
    return Record(
        operation_id=operation.operation_id,
        cluster=operation.cluster,
        machine=operation.machine,
        execution_arn=operation.execution_arn,
        started_at=operation.started_at,
        ecs_cluster=operation.ecs_cluster,
        caller=caller,
        request_hash=request_hash,
    )


def _reused(operation: Operation) -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        f"Operation {operation.operation_id} was started by a different request; "
        "nothing was changed."
    )
