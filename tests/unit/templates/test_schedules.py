"""The schedules of a cluster that start a machine: backups with a snapshot, and rehearsals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from lifecycle.backup.request import BackupAction, read_backup_request
from lifecycle.provisioning.request import read_parameters
from lifecycle.rehearsal.request import read_rehearsal_request

from tests.support.nested import flattened
from tests.unit.templates.resolver import resolve, template
from tools.generate_parameters import declarations

DECLARED = declarations(template("cluster"))


@dataclass(frozen=True)
class Kind:
    """A schedule: the parameter that turns it on, its resource and the machine that it starts."""

    parameter: str
    resource: str
    machine: str

    def made(self, every: str) -> Any:
        return resolve("cluster", **{self.parameter: every}).properties(self.resource)


SNAPSHOTS = Kind("BackupSnapshotSchedule", "SnapshotSchedule", "Backup")
REHEARSALS = Kind("RehearsalSchedule", "RehearsalsOfARestore", "Rehearse")
EVERY = [
    (SNAPSHOTS, "daily", "cron(30 2 * * ? *)"),
    (SNAPSHOTS, "weekly", "cron(30 2 ? * SUN *)"),
    (REHEARSALS, "monthly", "cron(0 4 ? * 7#1 *)"),
    (REHEARSALS, "quarterly", "cron(0 4 ? 1,4,7,10 7#1 *)"),
]
ONE_OF_EACH = [(SNAPSHOTS, "daily"), (REHEARSALS, "monthly")]


@pytest.mark.parametrize("kind", [SNAPSHOTS, REHEARSALS], ids=lambda one: one.machine)
def test_without_the_parameter_there_is_none(kind: Kind) -> None:
    for found in (resolve("cluster"), resolve("cluster", **{kind.parameter: "none"})):
        assert kind.resource not in found.resources
        assert "RehearsalSchedule" not in found.outputs


def test_the_health_check_reads_that_of_rehearsals_from_the_outputs() -> None:
    found = resolve("cluster", RehearsalSchedule="monthly")
    assert found.outputs["RehearsalSchedule"] == "monthly"


@pytest.mark.parametrize(("kind", "every", "expression"), EVERY)
def test_when_it_starts_is_spread_over_an_hour(kind: Kind, every: str, expression: str) -> None:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html

    Rehearsals are on the first Saturday of a month or quarter.
    """
    found = kind.made(every)
    assert found["ScheduleExpression"] == expression
    assert found["ScheduleExpressionTimezone"] == "UTC"
    assert found["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60}
    assert found.get("State", "ENABLED") == "ENABLED"


@pytest.mark.parametrize(("kind", "every"), ONE_OF_EACH)
def test_it_starts_the_machine_by_the_role_of_schedules_and_is_never_lost_silently(
    kind: Kind, every: str
) -> None:
    target = kind.made(every)["Target"]
    name = kind.machine.lower()
    machine = flattened()["Resources"][kind.machine]["Properties"]["Name"]["Fn::Sub"]
    assert target["Arn"].endswith(f":stateMachine:control-{name}")
    assert machine == f"${{AWS::StackName}}-{name}"
    assert target["RoleArn"].endswith("role/camunda/health-schedule")
    assert target["DeadLetterConfig"]["Arn"].endswith(":health")
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0


def test_that_role_may_start_them() -> None:
    role = template("schedules")["Resources"]["HealthScheduleRole"]["Properties"]
    (policy,) = role["Policies"]
    (starts,) = (
        one
        for one in policy["PolicyDocument"]["Statement"]
        if one["Action"] == "states:StartExecution"
    )
    started = {one["Fn::Sub"].rpartition("-")[2] for one in starts["Resource"]}
    assert started == {"check_health", "backup", "rehearse"}


def test_what_they_give_the_machines_are_valid_requests() -> None:
    given = [json.loads(kind.made(every)["Target"]["Input"]) for kind, every in ONE_OF_EACH]
    assert {one["scheduledAt"] for one in given} == {"<aws.scheduler.scheduled-time>"}
    backup, rehearsal = ({**one, "scheduledAt": "2026-03-07T04:00:00Z"} for one in given)
    taken = read_backup_request(backup)
    assert (taken.cluster, taken.action, taken.dry_run) == ("demo", BackupAction.TAKE, False)
    rehearsed = read_rehearsal_request(rehearsal)
    assert (rehearsed.cluster, rehearsed.scheduled, rehearsed.dry_run) == ("demo", True, False)


def test_the_deployment_role_may_make_them_by_their_names() -> None:
    """Its right is for ``schedule/default/<control plane>_*``; see stacks/access.yaml."""
    found = resolve("cluster", RehearsalSchedule="monthly", BackupSnapshotSchedule="daily")
    resources = (REHEARSALS.resource, SNAPSHOTS.resource, "HealthCheckSchedule")
    names = [found.properties(one)["Name"] for one in resources]
    assert names[:2] == ["control_demo-rehearse", "control_demo-backup"]
    assert len(set(names)) == 3
    assert all(one.startswith("control_demo") for one in names)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        *((SNAPSHOTS, given) for given in ("hourly", "", "Daily", "rate(1 day)")),
        *((REHEARSALS, given) for given in ("weekly", "", "Monthly", "rate(30 days)")),
    ],
)
def test_nothing_else_is_taken(kind: Kind, given: str) -> None:
    assert read_parameters({kind.parameter: given}, DECLARED)[1]
