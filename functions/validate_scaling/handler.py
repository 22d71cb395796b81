"""Validate a scale request; read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.scaling.validate import validate_scaling
from lifecycle.wiring.common import settings, stacks

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return validate_scaling(event["input"], control_stack=settings().control_stack, stacks=stacks())
