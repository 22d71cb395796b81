"""Serve the REST API."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.api import api


@entry_point
def handler(event: Event, context: Any) -> Event:
    return api(context.invoked_function_arn).answer(event)
