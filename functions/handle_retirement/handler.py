"""Restart tasks before Fargate retires them: the notice, the scheduled restart, its end."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.restart import retirement_handler


@entry_point
def handler(event: Event, context: Any) -> Event:
    retirement = retirement_handler(context.invoked_function_arn)
    if event.get("kind") == "begin":
        return retirement.due(event)
    if event["detail-type"] == "AWS Health Event":
        return retirement.announced(event)
    return retirement.ended(event)
