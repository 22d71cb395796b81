"""Copy the backups of another cluster into a cluster's backup bucket, for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.kept import backup_copier

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return backup_copier().copy(
        Operation.from_state(event["operation"]),
        source=event["source"],
        target=event["target"],
        memory=event["memory"],
    )
