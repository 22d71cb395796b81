"""What EventBridge Scheduler puts into a target's input, which the emulator passes on as it is."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from local.aws.emulator import eventbridge


def install() -> None:
    """Replace the function that the emulator's scheduler looks up by name."""
    eventbridge.invoke_target = _with_context(eventbridge.invoke_target)


def _with_context(own: Any) -> Any:
    def invoke(target: dict[str, Any], event: dict[str, Any], *rest: Any) -> Any:
        if event.get("Source") == "aws.scheduler" and target.get("Input"):
            target = target | {"Input": filled(target["Input"], event)}
        return own(target, event, *rest)

    return invoke


def filled(text: str, event: dict[str, Any]) -> str:
    """Fill the context attributes into an input.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    at = datetime.fromtimestamp(event["Time"], UTC)
    for name, value in {
        "schedule-arn": event["Resources"][0],
        "scheduled-time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text
