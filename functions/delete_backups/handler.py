"""Take the next step of deleting a backup, or snapshots that are out of the retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.backup import backup_deleter

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return backup_deleter().delete(
        Operation.from_state(event["operation"]),
        ClusterOutputs(event["cluster"]),
        request=event["request"],
        memory=event["memory"],
    )
