"""Restart tasks before Fargate retires them: the notice, the scheduled restart, its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.restart import retirement_handler

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, context: LambdaContext) -> Event:
    retirement = retirement_handler(context.invoked_function_arn)
    if event.get("kind") == "begin":
        return retirement.due(event)
    if event["detail-type"] == "AWS Health Event":
        return retirement.announced(event)
    return retirement.ended(event)
