"""Take the next step of rotating the passwords of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.rotation import secret_rotator

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    request = event["request"]
    return secret_rotator().rotate(
        Operation.from_state(event["operation"]),
        ClusterOutputs(event["cluster"]),
        secrets=request["secrets"],
        memory=event["memory"],
    )
