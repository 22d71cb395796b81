"""Take the next step of replacing brokers one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import service_roller

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return service_roller().roll(
        Operation.from_state(event["operation"]),
        ClusterOutputs(event["cluster"]),
        event["memory"],
        until=event.get("until", ""),
    )
