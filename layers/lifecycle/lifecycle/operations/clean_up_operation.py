"""Free a cluster whose operation ended without doing so itself.

A state machine that is aborted or times out runs no Catch. EventBridge tells of it instead.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.core.names import is_cluster_name, stack_name
from lifecycle.core.operation import Operation
from lifecycle.errors import ServiceMissing
from lifecycle.operations.scale_cluster import unprotect_all

if TYPE_CHECKING:
    from lifecycle.operations.finish_operation import Finisher
    from lifecycle.operations.journal import Journal
    from lifecycle.ports import BrokerTasks


@dataclass(frozen=True, slots=True)
class Cleaner:
    """The use case with what it needs from outside."""

    journal: Journal
    finisher: Finisher
    tasks: BrokerTasks

    def clean_up(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """End the operation of the execution that an EventBridge status event names.

        The event is "Step Functions Execution Status Change" with status FAILED, TIMED_OUT or
        ABORTED. Only the lock that this very execution holds is freed, and only when it does not
        run: an event may arrive late, after a redrive. An operation that did not note its own end
        gets its report, its event and its result; tasks that a scale operation protected are
        unprotected. Harmless when there is nothing to do.
        """
        detail = event.get("detail", {})
        execution = str(detail.get("executionArn", ""))
        request = _input(detail)
        cluster = request.get("clusterName")
        if not execution or not is_cluster_name(cluster):
            return {"released": False, "reason": "the event names no cluster"}
        if self.journal.executions.is_running(execution):
            return {"released": False, "reason": "the execution runs again"}
        released = self.journal.locks.release(str(cluster), execution)
        if released and str(detail.get("stateMachineArn", "")).endswith("-scale"):
            self._unprotect(str(cluster))
        result = self._note_end(detail, execution, request)
        return {"released": released, "cluster": cluster, "result": result}

    def _unprotect(self, cluster: str) -> None:
        """Leave no broker protected by an operation that is no more: it would block deployments."""
        name = stack_name(self.finisher.control_stack, cluster)
        stack = self.finisher.stacks.describe(name)
        if stack is not None and "EcsClusterName" in stack.outputs:
            with contextlib.suppress(ServiceMissing):
                unprotect_all(self.tasks, stack.outputs)

    def _note_end(
        self, detail: Mapping[str, Any], execution: str, request: Mapping[str, Any]
    ) -> str:
        record = self.journal.operations.find(str(detail.get("name", "")))
        if record is None or record.execution_arn != execution:
            return "it never began"
        if record.result:
            return record.result
        operation = Operation(
            operation_id=record.operation_id,
            execution_arn=record.execution_arn,
            cluster=record.cluster,
            machine=record.machine,
            started_at=record.started_at,
        )
        report = self.finisher.close(
            operation,
            request=request,
            status=str(detail["status"]),
            error=detail.get("error") or "",
            cause=detail.get("cause") or "",
        )
        return str(report["result"])


def _input(detail: Mapping[str, Any]) -> dict[str, Any]:
    try:
        given = json.loads(detail.get("input") or "{}")
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}
