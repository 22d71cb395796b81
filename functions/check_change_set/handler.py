"""Decide whether a change set may be executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import stack_changer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return stack_changer().check_change_set(
        Operation.from_state(event["operation"]),
        change_set=event["changeSet"],
        creates=event["creates"],
        replace=event["replace"],
        polls=event["polls"],
        waivers=event["request"],
    )
