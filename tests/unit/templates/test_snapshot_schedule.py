"""The schedule that takes a backup with a snapshot of the database."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifecycle.backup.request import BackupAction, read_backup_request
from lifecycle.provisioning.request import read_parameters

from tests.support.nested import flattened
from tests.unit.templates.resolver import resolve, template
from tools.generate_parameters import declarations

DECLARED = declarations(template("cluster"))
NAME = "SnapshotSchedule"


def schedule(every: str) -> Any:
    return resolve("cluster", BackupSnapshotSchedule=every).properties(NAME)


def test_without_the_parameter_there_is_none() -> None:
    assert NAME not in resolve("cluster").resources
    assert NAME not in resolve("cluster", BackupSnapshotSchedule="none").resources


@pytest.mark.parametrize(
    ("every", "expression"),
    [("daily", "cron(30 2 * * ? *)"), ("weekly", "cron(30 2 ? * SUN *)")],
)
def test_it_is_daily_or_weekly_and_spread_over_an_hour(every: str, expression: str) -> None:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html"""
    found = schedule(every)
    assert found["ScheduleExpression"] == expression
    assert found["ScheduleExpressionTimezone"] == "UTC"
    assert found["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60}
    assert found.get("State", "ENABLED") == "ENABLED"


def test_it_starts_the_machine_by_the_role_of_schedules_and_is_never_lost_silently() -> None:
    target = schedule("daily")["Target"]
    machine = flattened()["Resources"]["Backup"]["Properties"]["Name"]["Fn::Sub"]
    assert target["Arn"].endswith(":stateMachine:control-backup")
    assert machine == "${AWS::StackName}-backup"
    assert target["RoleArn"].endswith("role/camunda/health-schedule")
    assert target["DeadLetterConfig"]["Arn"].endswith(":health")
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0


def test_what_it_gives_the_machine_is_a_valid_request() -> None:
    given = json.loads(schedule("weekly")["Target"]["Input"])
    assert given["scheduledAt"] == "<aws.scheduler.scheduled-time>"
    found = read_backup_request({**given, "scheduledAt": "2026-03-01T02:30:00Z"})
    assert (found.cluster, found.action, found.dry_run) == ("demo", BackupAction.TAKE, False)


def test_the_deployment_role_may_make_it_by_its_name() -> None:
    """Its right is for ``schedule/default/<control plane>_*``; see stacks/access.yaml."""
    assert schedule("daily")["Name"] == "control_demo-backup"
    assert resolve("cluster").properties("HealthCheckSchedule")["Name"] != "control_demo-backup"


@pytest.mark.parametrize("given", ["hourly", "", "Daily", "rate(1 day)"])
def test_nothing_else_is_taken(given: str) -> None:
    assert read_parameters({"BackupSnapshotSchedule": given}, DECLARED)[1]
