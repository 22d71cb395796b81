"""Clean up after a failed plan and report the cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.finish import read_error
from lifecycle.operation.model import Operation
from lifecycle.wiring.plans import planner

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    error, cause = read_error(event["error"])
    return planner().fail(
        Operation.from_state(event["operation"]),
        request=event["request"],
        error=error,
        cause=cause,
    )
