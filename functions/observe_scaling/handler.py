"""Observe tasks and brokers and decide the next action of a scale operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.scaling import scale_observer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return scale_observer().look(
        Operation.from_state(event["operation"]),
        requested=event["count"],
        memory=event["memory"],
        sent=event["sent"] or None,
        partitions=event["partitions"],
        backup=event["backup"],
    )
