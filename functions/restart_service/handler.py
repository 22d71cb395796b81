"""Take the next step of restarting brokers, one at a time, or the connectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.restart import service_restarter

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    request = event["request"]
    return service_restarter().restart(
        Operation.from_state(event["operation"]),
        ClusterOutputs(event["cluster"]),
        service=request["service"],
        broker=request["broker"],
        memory=event["memory"],
        required=request.get("required", True),
        since=request.get("since"),
        until=event.get("until", ""),
    )
