"""Take the cluster's lock for this operation and write its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.common import announcer, journal, reviewed, second_approver

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation = Operation.from_state(event["operation"])
    review = reviewed(operation.machine, event["request"])
    if review is not None:
        second_approver().refuse_unreviewed(operation, review)
    journal().begin(operation)
    announcer().started(operation)
    return {"begun": True}
