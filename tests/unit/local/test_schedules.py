"""EventBridge Scheduler of the local AWS."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import Any

import pytest

from local.aws import schedules
from local.aws.emulator import eventbridge, scheduler

emulated: Any = importlib.import_module(scheduler.module)


def test_a_schedule_that_is_changed_to_a_moment_is_due_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one whose expression the scheduler has looked at before."""
    due: list[str] = []
    targets = importlib.import_module(eventbridge.module)
    monkeypatch.setattr(targets, "_invoke_target", lambda *given: due.append(given[1]["Source"]))
    monkeypatch.setattr(emulated, "_update_schedule", schedules._anew(scheduler.update_schedule))
    body: dict[str, Any] = {
        "ScheduleExpression": "cron(30 2 * * ? *)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": "arn:target", "RoleArn": "arn:role"},
    }
    emulated._create_schedule("pairs", body)
    emulated._tick_schedules()
    assert due == []
    body["ScheduleExpression"] = f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})"
    scheduler.update_schedule("pairs", body)
    emulated._tick_schedules()
    emulated._tick_schedules()
    assert due == ["aws.scheduler"]
    emulated.reset()
