"""Take the cluster's lock for this operation and write its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.common import announcer, journal

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation = Operation.from_state(event["operation"])
    journal().begin(operation)
    announcer().started(operation)
    return {"begun": True}
