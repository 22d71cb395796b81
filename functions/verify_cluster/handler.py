"""Verify a cluster as its users see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import verifier

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation, cluster = Operation.from_state(event["operation"]), ClusterOutputs(event["cluster"])
    known = event.get("instances")
    if event.get("question") == "instances":
        return verifier().look_at_instances(operation, cluster, known, wanted=event["wanted"])
    return verifier().verify(operation, cluster, known)
