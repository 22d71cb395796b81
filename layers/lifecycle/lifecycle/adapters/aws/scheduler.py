"""EventBridge Scheduler, for schedules that fire once and delete themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client

if TYPE_CHECKING:
    from collections.abc import Mapping


class OneTimeSchedules:
    """The ``Schedules`` port on EventBridge Scheduler, with one function as its target."""

    def __init__(self, *, group: str, function_arn: str, role_arn: str, dead_letters: str) -> None:
        self._group = group
        self._function = function_arn
        self._role = role_arn
        self._dead_letters = dead_letters

    def has(self, name: str) -> bool:
        """Return whether a schedule of that name exists; a kept one exists after it fired, too."""
        api = client("scheduler")
        try:
            api.get_schedule(Name=name, GroupName=self._group)
        except api.exceptions.ResourceNotFoundException:
            return False
        return True

    def once(
        self, name: str, *, at: datetime, payload: Mapping[str, str], keep: bool = False
    ) -> None:
        """Schedule one call of the function; the same name again changes nothing.

        A schedule that fired is deleted, which frees its name, unless it is to be kept.
        https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-delete.html
        """
        api = client("scheduler")
        try:
            api.create_schedule(
                Name=name,
                GroupName=self._group,
                ScheduleExpression=f"at({at.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
                ScheduleExpressionTimezone="UTC",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="NONE" if keep else "DELETE",
                Target={
                    "Arn": self._function,
                    "RoleArn": self._role,
                    "Input": json.dumps(dict(payload)),
                    "DeadLetterConfig": {"Arn": self._dead_letters},
                    "RetryPolicy": {"MaximumRetryAttempts": 20, "MaximumEventAgeInSeconds": 3600},
                },
            )
        except api.exceptions.ConflictException:
            return

    def cancel(self, name: str) -> None:
        """Delete a schedule; one that is gone stays so."""
        api = client("scheduler")
        try:
            api.delete_schedule(Name=name, GroupName=self._group)
        except api.exceptions.ResourceNotFoundException:
            return
