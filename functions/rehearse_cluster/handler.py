"""Take the next step of a rehearsal: start an operation, follow it, or compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.rehearsal import conductor

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, context: LambdaContext) -> Event:
    return conductor(context.invoked_function_arn).step(
        Operation.from_state(event["operation"]),
        trial=event["request"]["trial"],
        state=event["memory"],
    )
