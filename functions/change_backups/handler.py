"""Have the brokers take or delete a backup, from inside the VPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.wiring.backup import backup_changer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    changer = backup_changer()
    changes = {"delete": changer.delete, "take": changer.take}
    return changes[event["question"]](
        ClusterOutputs(event["cluster"]), operation=event["operation"], **event["arguments"]
    )
