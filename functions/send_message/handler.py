"""Send messages to people: on events, of what runs for long, and into the chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.messages import sender

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, context: LambdaContext) -> Event:
    messages = sender(context.invoked_function_arn)
    if "Records" in event:
        return messages.delivered(event)
    if event.get("detail-type") == "Scheduled Event":
        return messages.long_running()
    return messages.occurred(event)
