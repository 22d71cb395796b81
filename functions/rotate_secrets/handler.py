"""Take the next step of rotating the passwords of a cluster, or of setting them after a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.rotation import restored_logins, secret_rotator

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation = Operation.from_state(event["operation"])
    cluster, memory = ClusterOutputs(event["cluster"]), event["memory"]
    if event.get("question") == "restored":
        return restored_logins().align(operation, cluster, memory=memory)
    secrets = event["request"]["secrets"]
    return secret_rotator().rotate(operation, cluster, secrets=secrets, memory=memory)
