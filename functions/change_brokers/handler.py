"""Send Camunda one cluster change, or a backup, from inside the VPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.scaling import broker_changer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation, cluster = Operation.from_state(event["operation"]), ClusterOutputs(event["cluster"])
    until = event.get("until", "")
    match event["action"]:
        case "BACK_UP":
            return broker_changer().back_up(operation, cluster)
        case "CHANGE_PARTITIONS":
            return broker_changer().add_partitions(
                operation, cluster, count=event["partitions"], until=until
            )
        case _:
            return broker_changer().change(operation, cluster, count=event["count"], until=until)
