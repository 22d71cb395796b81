"""Validate a teardown request and plan it; read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.teardown import teardown_planner

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return teardown_planner().plan(event["input"])
