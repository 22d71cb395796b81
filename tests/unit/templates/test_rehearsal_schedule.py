"""The schedule that rehearses a restore."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifecycle.provisioning.request import read_parameters
from lifecycle.rehearsal.request import read_rehearsal_request

from tests.support.nested import flattened
from tests.unit.templates.resolver import resolve, template
from tools.generate_parameters import declarations

DECLARED = declarations(template("cluster"))
PARAMETER, NAME = "RehearsalSchedule", "RehearsalsOfARestore"


def schedule(every: str) -> Any:
    return resolve("cluster", RehearsalSchedule=every).properties(NAME)


def test_without_the_parameter_there_is_none() -> None:
    for found in (resolve("cluster"), resolve("cluster", RehearsalSchedule="none")):
        assert NAME not in found.resources
        assert PARAMETER not in found.outputs


def test_the_health_check_reads_it_from_the_outputs() -> None:
    assert resolve("cluster", RehearsalSchedule="monthly").outputs[PARAMETER] == "monthly"


@pytest.mark.parametrize(
    ("every", "expression"),
    [("monthly", "cron(0 4 ? * 7#1 *)"), ("quarterly", "cron(0 4 ? 1,4,7,10 7#1 *)")],
)
def test_it_is_the_first_saturday_of_a_month_or_quarter(every: str, expression: str) -> None:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html"""
    found = schedule(every)
    assert found["ScheduleExpression"] == expression
    assert found["ScheduleExpressionTimezone"] == "UTC"
    assert found["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60}
    assert found.get("State", "ENABLED") == "ENABLED"


def test_it_starts_the_machine_by_the_role_of_schedules_and_is_never_lost_silently() -> None:
    target = schedule("monthly")["Target"]
    machine = flattened()["Resources"]["Rehearse"]["Properties"]["Name"]["Fn::Sub"]
    assert target["Arn"].endswith(":stateMachine:control-rehearse")
    assert machine == "${AWS::StackName}-rehearse"
    assert target["RoleArn"].endswith("role/camunda/health-schedule")
    assert target["DeadLetterConfig"]["Arn"].endswith(":health")
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0


def test_that_role_may_start_it() -> None:
    role = template("schedules")["Resources"]["HealthScheduleRole"]["Properties"]
    (policy,) = role["Policies"]
    (starts,) = (
        one
        for one in policy["PolicyDocument"]["Statement"]
        if one["Action"] == "states:StartExecution"
    )
    started = {one["Fn::Sub"].rpartition("-")[2] for one in starts["Resource"]}
    assert started == {"check_health", "backup", "rehearse"}


def test_what_it_gives_the_machine_is_a_valid_request() -> None:
    given = json.loads(schedule("quarterly")["Target"]["Input"])
    assert given["scheduledAt"] == "<aws.scheduler.scheduled-time>"
    found = read_rehearsal_request({**given, "scheduledAt": "2026-03-07T04:00:00Z"})
    assert (found.cluster, found.scheduled, found.dry_run) == ("demo", True, False)


def test_the_deployment_role_may_make_it_by_its_name() -> None:
    """Its right is for ``schedule/default/<control plane>_*``; see stacks/access.yaml."""
    every = resolve("cluster", RehearsalSchedule="monthly", BackupSnapshotSchedule="daily")
    names = [
        every.properties(one)["Name"] for one in (NAME, "SnapshotSchedule", "HealthCheckSchedule")
    ]
    assert names[0] == "control_demo-rehearse"
    assert len(set(names)) == 3


@pytest.mark.parametrize("given", ["weekly", "", "Monthly", "rate(30 days)"])
def test_nothing_else_is_taken(given: str) -> None:
    assert read_parameters({PARAMETER: given}, DECLARED)[1]
