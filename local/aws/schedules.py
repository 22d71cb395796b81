"""EventBridge Scheduler: what it puts into a target's input, and schedules that were changed."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from local.aws.emulator import eventbridge, scheduler


def install() -> None:
    """Replace the functions that the emulator's scheduler looks up by name."""
    eventbridge.invoke_target = _with_context(eventbridge.invoke_target)
    scheduler.update_schedule = _anew(scheduler.update_schedule)


def _anew(own: Any) -> Any:
    """Forget when a schedule was last due: a moment that it is changed to is still to come.

    UpdateSchedule overrides all of a schedule, whose one-time expression is invoked at its moment
    (https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html).
    """

    def update(name: str, body: dict[str, Any]) -> Any:
        answer = own(name, body)
        changed = f"{body.get('GroupName', 'default')}/{name}"
        for key in [one for one in scheduler.schedule_last_fired if one[-1] == changed]:
            del scheduler.schedule_last_fired[key]
        return answer

    return update


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
