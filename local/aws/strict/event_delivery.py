"""EventBridge and Scheduler deliver at least once: sometimes twice, and late."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Final

from local.aws.emulator import eventbridge
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.strict import Strictness

    type Dispatch = Callable[[str, str], None]
    type Later = Callable[[Callable[[], None]], None]

LATE_SECONDS: Final = 2.0


def install(_strictness: Strictness) -> None:
    """Deliver what goes to a function a second time."""
    eventbridge.dispatch_to_lambda = twice(eventbridge.dispatch_to_lambda, _later)


def twice(own: Dispatch, later: Later) -> Dispatch:
    """Deliver each event at once and again later, so that every run meets a duplicate.

    Only to functions: a queue that collects events for a test gets each of them once.
    """

    def dispatch(function: str, payload: str) -> None:
        own(function, payload)
        later(lambda: own(function, payload))

    return dispatch


def _later(act: Callable[[], None]) -> None:
    # The timer's thread needs this one's account and region.
    timer = threading.Timer(LATE_SECONDS, contextvars.copy_context().run, (act,))
    timer.daemon = True
    timer.start()


RULE: Final = Rule(
    name="event-delivery",
    does="EventBridge and Scheduler deliver an event at least once: it may arrive twice, and long"
    " after it occurred.",
    source="https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html",
    caught="nothing yet: clean-up and discarding read the current state before they act.",
    install=install,
)
