"""Finish an operation: report, record, lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.common import finisher

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation = Operation.from_state(event["operation"])
    if "error" in event:
        return finisher().fail(
            operation,
            request=event["request"],
            error=event["error"],
            outcome=event.get("outcome", {}),
            partial=event.get("partial", False),
        )
    return finisher().succeed(operation, request=event["request"], outcome=event["outcome"])
