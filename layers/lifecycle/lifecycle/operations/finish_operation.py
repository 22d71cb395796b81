"""End an operation: report into the bucket, record, lock; the same for success and failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.core.names import stack_name

if TYPE_CHECKING:
    from lifecycle.core.operation import Operation
    from lifecycle.operations.journal import Journal
    from lifecycle.ports import Artifacts, Services, Stacks

# Step Functions refuses more than 256 KiB between states; people read far less.
_MAX_CAUSE: Final = 4000


@dataclass(frozen=True, slots=True)
class Finisher:
    """The use case with what it needs from outside."""

    stacks: Stacks
    services: Services
    artifacts: Artifacts
    journal: Journal
    control_stack: str

    def succeed(
        self,
        operation: Operation,
        *,
        request: Mapping[str, Any],
        cluster: Mapping[str, str],
        verification: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Write the report, note the end, free the cluster. Returns what the execution returns."""
        result = {
            "operationId": operation.operation_id,
            "cluster": operation.cluster,
            "result": "SUCCEEDED",
            "outputs": dict(cluster),
            "verification": dict(verification),
        }
        return self._end(operation, request, result)

    def fail(
        self, operation: Operation, *, request: Mapping[str, Any], error: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Say what is true now and what to do next; write the report; free the cluster.

        ``error`` is what Step Functions caught: ``Error`` and ``Cause``. Returns ``error`` and
        ``cause`` for the Fail state.
        """
        name, message = read_error(error)
        truth = self._truth(operation.cluster)
        cause = f"{message} True now: {truth}"[:_MAX_CAUSE]
        self._end(
            operation,
            request,
            {
                "operationId": operation.operation_id,
                "cluster": operation.cluster,
                "result": "FAILED",
                "error": name,
                "cause": cause,
            },
        )
        return {"error": name, "cause": cause}

    def _truth(self, cluster: str) -> str:
        stack = self.stacks.describe(stack_name(self.control_stack, cluster))
        if stack is None:
            return "there is no stack for this cluster."
        facts = [f"stack {stack.name} is in {stack.status}"]
        names = [
            stack.outputs[key]
            for key in ("OrchestrationServiceName", "ConnectorsServiceName")
            if key in stack.outputs
        ]
        if names:
            facts += [
                f"service {service.name} runs {service.running} of {service.desired} tasks"
                for service in self.services.describe(stack.outputs["EcsClusterName"], names)
            ]
        return "; ".join(facts) + "; the cluster is free for the next operation."

    def _end(
        self, operation: Operation, request: Mapping[str, Any], result: dict[str, Any]
    ) -> dict[str, Any]:
        now = self.journal.clock.now()
        key = f"operations/{operation.cluster}/{operation.operation_id}.json"
        report = {
            **result,
            "reportKey": key,
            "machine": operation.machine,
            "startedAt": operation.started_at,
            "endedAt": now.isoformat(timespec="seconds"),
            "timeline": self.journal.operations.timeline(operation),
        }
        full = {**report, "request": dict(request), "operation": asdict(operation)}
        self.artifacts.put(key, json.dumps(full, indent=2).encode(), "application/json")
        self.journal.operations.end(operation, result=result["result"], report_key=key, now=now)
        self.journal.release(operation)
        return report


def read_error(error: Mapping[str, Any]) -> tuple[str, str]:
    """Split what Step Functions caught into error name and message.

    A Lambda error's ``Cause`` is JSON with ``errorMessage``; anything else is taken as it is.
    """
    name = str(error.get("Error") or "UnknownError")
    cause = str(error.get("Cause") or "")
    try:
        parsed = json.loads(cause)
    except ValueError:
        return name, cause
    if isinstance(parsed, dict) and parsed.get("errorMessage"):
        return str(parsed.get("errorType") or name), str(parsed["errorMessage"])
    return name, cause
