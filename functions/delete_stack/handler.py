"""Delete a cluster's stack, or report the deletion's progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.teardown import stack_deleter

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return stack_deleter().delete(
        Operation.from_state(event["operation"]),
        stack=event["request"]["stack"],
        begun=event["begun"],
        polls=event["polls"],
    )
