"""What a deployment role is asked for beside the actions of a resource's own type."""

from __future__ import annotations

from typing import Any

import pytest

from local.aws.strict.deployment_role import rights
from local.config import ACCOUNT_ID

OURS = f"arn:aws:iam::{ACCOUNT_ID}:role/camunda/generated"
BOUNDARY = {"iam:PermissionsBoundary": "arn:boundary"}
TO_TASKS = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}


@pytest.mark.parametrize(
    ("kind", "properties", "needed"),
    [
        (
            "AWS::IAM::Role",
            {"Path": "/camunda/", "PermissionsBoundary": "arn:boundary", "Policies": [{}]},
            [("iam:CreateRole", OURS, BOUNDARY), ("iam:PutRolePolicy", OURS, BOUNDARY)],
        ),
        (
            "AWS::IAM::Role",
            {"RoleName": "free"},
            [("iam:CreateRole", f"arn:aws:iam::{ACCOUNT_ID}:role/free", {})],
        ),
        (
            "AWS::ECS::TaskDefinition",
            {"ExecutionRoleArn": "arn:execution", "TaskRoleArn": "arn:task"},
            [
                ("iam:PassRole", "arn:execution", TO_TASKS),
                ("iam:PassRole", "arn:task", TO_TASKS),
            ],
        ),
        ("AWS::ECS::TaskDefinition", {}, []),
        (
            "AWS::Scheduler::Schedule",
            {"Target": {"RoleArn": "arn:schedule"}},
            [
                (
                    "iam:PassRole",
                    "arn:schedule",
                    {"iam:PassedToService": "scheduler.amazonaws.com"},
                )
            ],
        ),
    ],
)
def test_roles_are_made_and_passed_by_name_path_and_boundary(
    kind: str, properties: dict[str, Any], needed: list[Any]
) -> None:
    assert list(rights(kind, properties)) == needed
