"""Validate a request for a way in; read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.manage.validate_manage import validate_manage
from lifecycle.observability import Event, entry_point
from lifecycle.wiring.common import settings, stacks

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return validate_manage(event["input"], control_stack=settings().control_stack, stacks=stacks())
