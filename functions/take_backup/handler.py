"""Take the next step of a backup: the database's snapshot, then the brokers' backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.backup import backup_taker

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return backup_taker().take(
        Operation.from_state(event["operation"]),
        ClusterOutputs(event["cluster"]),
        request=event["request"],
        memory=event["memory"],
    )
