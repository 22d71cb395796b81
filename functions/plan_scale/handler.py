"""Plan a scale operation; read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.scaling import scale_planner

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    request = event["request"]
    return scale_planner().plan(
        Operation.from_state(event["operation"]),
        requested=request["count"],
        partitions=request["partitions"],
    )
