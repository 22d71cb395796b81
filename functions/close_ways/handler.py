"""Close ways in whose end has come: of one cluster, or of every one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.manage import way_closer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, context: LambdaContext) -> Event:
    closer = way_closer(context.invoked_function_arn)
    if "cluster" not in event:
        return closer.sweep()
    return closer.close(event["cluster"], now=event.get("now", False))
