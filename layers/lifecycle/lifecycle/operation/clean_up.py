"""Free a cluster whose operation ended without doing so itself.

A state machine that is aborted or times out runs no Catch. EventBridge reports it instead.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.find import find_cluster
from lifecycle.cluster.names import is_cluster_name, stack_name
from lifecycle.cluster.stack import ecs_cluster_of
from lifecycle.errors import ClusterBusy, ClusterNotFound, ServiceMissing, StackNotUsable
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
        operation, result = self._recorded(detail, execution, str(cluster))
        held = self.journal.locks.held(operation.ecs_cluster)
        own = held is not None and held.owner == execution
        if not result:
            if operation.machine == "scale":
                self._unprotect(operation, own=own)
            result = self._note_end(operation, detail, request)
        self.journal.give_back(operation)
        return {"released": own, "cluster": cluster, "result": result}

    def _unprotect(self, operation: Operation, *, own: bool) -> None:
        """Leave no broker protected by an operation that is no more: it would block deployments.

        Under the operation's own lock, in which this function's deadline stands, so that the next
        one, which protects brokers for itself, begins only afterwards. One that it has no more is
        taken for this, and released.
        """
        try:
            self.journal.occupy(operation)
        except ClusterBusy:
            return
        try:
            with contextlib.suppress(ServiceMissing, ClusterNotFound, StackNotUsable):
                stack = find_cluster(
                    self.finisher.stacks, self.finisher.control_stack, operation.cluster
                )
                if stack.outputs.ecs_cluster == operation.ecs_cluster:
                    unprotect_all(self.tasks, stack.outputs)
        finally:
            if not own:
                self.journal.release(operation)

    def _recorded(
        self, detail: Mapping[str, Any], execution: str, cluster: str
    ) -> tuple[Operation, str]:
        """Find the operation of an execution, and its result: empty if it did not note its end."""
        record = self.journal.operations.find(str(detail.get("name", "")), _machine(detail))
        if record is None or record.execution_arn != execution:
            stack = self.finisher.stacks.describe(stack_name(self.finisher.control_stack, cluster))
            operation = Operation(
                operation_id=str(detail.get("name", "")),
                execution_arn=execution,
                cluster=cluster,
                machine=_machine(detail),
                started_at="",
                ecs_cluster=(
                    stack_name(self.finisher.control_stack, cluster)
                    if stack is None
                    else ecs_cluster_of(stack)
                ),
            )
            return operation, "it never started"
        return record.operation, record.result

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


def _machine(detail: Mapping[str, Any]) -> str:
    return str(detail.get("stateMachineArn", "")).rpartition("-")[2]


def _input(detail: Mapping[str, Any]) -> dict[str, Any]:
    try:
        given = json.loads(detail.get("input") or "{}")
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}
