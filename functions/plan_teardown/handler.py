"""Validate a teardown request and plan it, or store that plan; the cluster is only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.teardown import teardown_plan_writer, teardown_planner

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    if "operation" in event:
        return teardown_plan_writer().write(Operation.from_state(event["operation"]))
    return teardown_planner().plan(event["input"])
