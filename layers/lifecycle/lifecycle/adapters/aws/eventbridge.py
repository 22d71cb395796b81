"""EventBridge. An event that cannot be sent is logged, and never fails its caller."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client
from lifecycle.observability import logger
from lifecycle.operation.events import SOURCE

if TYPE_CHECKING:
    from lifecycle.operation.events import Event


class EventBridgeEvents:
    """The ``Events`` port on one event bus, by its name."""

    def __init__(self, bus: str) -> None:
        self._bus = bus

    def send(self, event: Event) -> bool:
        """Send an event; what goes wrong is logged. Returns whether it was sent."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see aws.py

        try:
            answer = client("events").put_events(
                Entries=[
                    {
                        "EventBusName": self._bus,
                        "Source": SOURCE,
                        "DetailType": event.detail_type,
                        "Detail": json.dumps(event.detail),
                        "Resources": list(event.resources),
                    }
                ]
            )
        except (BotoCoreError, ClientError):
            logger.exception("Event not sent", extra={"detail_type": event.detail_type})
            return False
        if answer["FailedEntryCount"]:
            refused = answer["Entries"][0]
            logger.error(
                "Event refused",
                extra={
                    "detail_type": event.detail_type,
                    "code": refused.get("ErrorCode"),
                    "reason": refused.get("ErrorMessage"),
                },
            )
            return False
        return True
