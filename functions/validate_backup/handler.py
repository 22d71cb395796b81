"""Validate a backup request; read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.backup.validate_backup import validate_backup
from lifecycle.observability import Event, entry_point
from lifecycle.wiring.backup import former_data_planner
from lifecycle.wiring.common import settings, stacks

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return validate_backup(
        event["input"],
        control_stack=settings().control_stack,
        stacks=stacks(),
        former=former_data_planner,
    )
