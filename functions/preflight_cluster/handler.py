"""Run preflight checks before any change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.provisioning import preflight

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return preflight().check(event["request"], planning=event["planning"])
