"""Clean up after a failed plan and report the cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import Failure
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.plans import planner

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return planner().fail(
        Operation.from_state(event["operation"]),
        request=event["request"],
        failure=Failure.caught(event["error"]),
    )
