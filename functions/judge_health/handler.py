"""Evaluate a health check, store it, publish metrics, notify of a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.health import health_judge

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return health_judge().judge(event["subject"], event["inside"], event["outside"])
