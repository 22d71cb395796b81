"""Serve the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.api import api

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, context: LambdaContext) -> Event:
    return api(context.invoked_function_arn).answer(event)
