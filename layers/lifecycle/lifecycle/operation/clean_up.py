"""Free a cluster whose operation ended without doing so itself.

A state machine that is aborted or times out runs no Catch. EventBridge reports it instead.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.names import is_cluster_name, stack_name
from lifecycle.errors import ClusterBusy, ServiceMissing
from lifecycle.operation.model import Operation
from lifecycle.services.protection import unprotect_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.operation.finish import Finisher
    from lifecycle.operation.journal import Journal
    from lifecycle.services.ports import BrokerTasks


@dataclass(frozen=True, slots=True)
class Cleaner:
    """The use case and its ports."""

    journal: Journal
    finisher: Finisher
    tasks: BrokerTasks

    def clean_up(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """End the operation of the execution that an EventBridge status event names.

        The event is "Step Functions Execution Status Change" with status FAILED, TIMED_OUT or
        ABORTED. Only the lock that this very execution holds is freed, and only when it does not
        run: an event may arrive late, after a redrive. A function of it that ran when it was
        stopped runs on: then the lock stays until that one has certainly ended. An operation that
        did note its own end gets its report, its event and its result; tasks that a scale
        operation protected are unprotected. Harmless when there is nothing to do.
        """
        detail = event.get("detail", {})
        execution = str(detail.get("executionArn", ""))
        request = _input(detail)
        cluster = request.get("clusterName")
        if not execution or not is_cluster_name(cluster):
            return {"released": False, "reason": "the event names no cluster"}
        if self.journal.executions.is_running(execution):
            return {"released": False, "reason": "the execution is running again"}
        held = self.journal.locks.held(str(cluster))
        own = held is not None and held.owner == execution
        operation, result = self._unfinished(detail, execution)
        if operation is not None and _machine(detail) == "scale":
            self._unprotect(operation, own=own)
        if operation is not None:
            result = self._note_end(operation, detail, request)
        self.journal.give_back(operation or _of(detail, str(cluster), execution))
        return {"released": own, "cluster": cluster, "result": result}

    def _unprotect(self, operation: Operation, *, own: bool) -> None:
        """Leave no broker protected by an operation that is no more: it would block deployments.

        Under the operation's own lock, so that the next one, which protects brokers for itself,
        begins only afterwards. One that it has no more is taken for this, and released.
        """
        if not own:
            try:
                self.journal.take(operation)
            except ClusterBusy:
                return
        try:
            name = stack_name(self.finisher.control_stack, operation.cluster)
            stack = self.finisher.stacks.describe(name)
            if stack is not None and "EcsClusterName" in stack.outputs:
                with contextlib.suppress(ServiceMissing):
                    unprotect_all(self.tasks, stack.outputs)
        finally:
            if not own:
                self.journal.release(operation)

    def _unfinished(
        self, detail: Mapping[str, Any], execution: str
    ) -> tuple[Operation | None, str]:
        """Find the operation of an execution that did note its own end; else return why not."""
        record = self.journal.operations.find(str(detail.get("name", "")), _machine(detail))
        if record is None or record.execution_arn != execution:
            return None, "it never started"
        if record.result:
            return None, record.result
        operation = Operation(
            operation_id=record.operation_id,
            execution_arn=record.execution_arn,
            cluster=record.cluster,
            machine=record.machine,
            started_at=record.started_at,
        )
        return operation, ""

    def _note_end(
        self, operation: Operation, detail: Mapping[str, Any], request: Mapping[str, Any]
    ) -> str:
        report = self.finisher.close(
            operation,
            request=request,
            status=str(detail["status"]),
            error=detail.get("error") or "",
            cause=detail.get("cause") or "",
        )
        return str(report["result"])


def _of(detail: Mapping[str, Any], cluster: str, execution: str) -> Operation:
    """The operation of an execution that noted its end itself, or never began."""
    return Operation(str(detail.get("name", "")), execution, cluster, _machine(detail), "")


def _machine(detail: Mapping[str, Any]) -> str:
    return str(detail.get("stateMachineArn", "")).rpartition("-")[2]


def _input(detail: Mapping[str, Any]) -> dict[str, Any]:
    try:
        given = json.loads(detail.get("input") or "{}")
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}
