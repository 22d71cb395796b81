"""Execute exactly one change set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import stack_changer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return stack_changer().execute(
        Operation.from_state(event["operation"]),
        change_set=event["changeSet"],
        replace=event["replace"],
        until=event.get("until", ""),
    )
