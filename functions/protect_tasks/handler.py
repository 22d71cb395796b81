"""Protect broker tasks from scale-in, or remove the protection from some or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.scaling import task_protector

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation, cluster = Operation.from_state(event["operation"]), ClusterOutputs(event["cluster"])
    if event["action"] == "PROTECT":
        return task_protector().protect(operation, cluster, task_ids=event["tasks"])
    if event["action"] == "UNPROTECT":
        return task_protector().unprotect(operation, cluster, task_ids=event["tasks"])
    return task_protector().unprotect_all(operation, cluster)
