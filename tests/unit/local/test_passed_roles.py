"""Which requests hand a role over, and to whom."""

from __future__ import annotations

from typing import Any

import pytest

from local.aws.strict.passed_roles import passed_on, passed_to_cloudformation, passed_to_tasks

TASKS = "ecs-tasks.amazonaws.com"


def test_cloudformation_gets_the_role_of_a_stack() -> None:
    assert passed_to_cloudformation({"StackName": ["s"], "RoleARN": ["arn:r"]}) == [
        ("arn:r", "cloudformation.amazonaws.com")
    ]
    assert passed_to_cloudformation({"StackName": ["s"]}) == []


def test_scheduler_gets_the_role_of_a_target() -> None:
    target = {"Arn": "arn:machine", "RoleArn": "arn:r"}
    assert passed_on({"Target": target}) == [("arn:r", "scheduler.amazonaws.com")]
    assert passed_on({}) == []


@pytest.mark.parametrize(
    ("action", "request_", "roles"),
    [
        (
            "RegisterTaskDefinition",
            {"executionRoleArn": "arn:e", "taskRoleArn": "arn:t"},
            [("arn:e", TASKS), ("arn:t", TASKS)],
        ),
        ("RegisterTaskDefinition", {"taskRoleArn": "arn:t"}, [("arn:t", TASKS)]),
        # A new count moves no task to another definition.
        ("UpdateService", {"service": "brokers", "desiredCount": 4}, []),
        # A task may get other roles than its definition has.
        ("RunTask", {"overrides": {"taskRoleArn": "arn:o"}}, [("arn:o", TASKS)]),
        ("DescribeServices", {"services": ["brokers"]}, []),
    ],
)
def test_tasks_get_the_roles_of_their_definition(
    action: str, request_: dict[str, Any], roles: list[tuple[str, str]]
) -> None:
    assert passed_to_tasks(action, request_) == roles
