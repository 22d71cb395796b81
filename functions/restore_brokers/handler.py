"""Take the next step of stopping what runs, or of restoring all brokers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.restore import broker_restorer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation = Operation.from_state(event["operation"])
    cluster = ClusterOutputs(event["cluster"])
    if event["question"] == "stop":
        return broker_restorer().stop(operation, cluster, event["memory"])
    request = event["request"]
    return broker_restorer().restore(
        operation,
        cluster,
        target=request["target"],
        brokers=request["brokers"],
        memory=event["memory"],
    )
