"""Set the desired count of the brokers' service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.scaling import count_setter

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return count_setter().set_count(
        Operation.from_state(event["operation"]),
        ClusterOutputs(event["cluster"]),
        count=event["count"],
        protected=event["protected"],
        until=event.get("until", ""),
    )
