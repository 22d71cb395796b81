"""The one logger, and the wrapper that every Lambda handler wears."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Event = dict[str, Any]

logger = Logger(use_rfc3339=True)


def _correlation(event: Mapping[str, Any]) -> dict[str, str]:
    operation = event.get("operation")
    if not isinstance(operation, dict):
        return {}
    return {
        key: str(operation[name])
        for key, name in (("operation_id", "id"), ("cluster", "cluster"))
        if name in operation
    }


def entry_point(handler: Callable[[Event, Any], Event]) -> Callable[[Event, Any], Event]:
    """Wrap a handler: JSON logs that carry operation and cluster, one line per known error.

    Input and output are never logged: an event may hold what a user typed.
    Errors are raised on, because state machines catch them by class name.
    """

    @functools.wraps(handler)
    def wrapped(event: Event, context: Any) -> Event:
        logger.append_keys(**_correlation(event))
        try:
            return handler(event, context)
        except LifecycleError as error:
            logger.warning(
                error.message,
                extra={"error": type(error).__name__, "next_step": error.next_step},
            )
            raise

    injected: Callable[[Event, Any], Event] = logger.inject_lambda_context(
        clear_state=True, log_event=False
    )(wrapped)
    return injected
