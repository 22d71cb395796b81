"""Remove a plan that has expired; called by its one-time schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.plans import discarder

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return discarder().discard(
        cluster=event["cluster"],
        stack=event["stack"],
        change_set=event["changeSetName"],
        operation_id=event.get("operationId", ""),
    )
