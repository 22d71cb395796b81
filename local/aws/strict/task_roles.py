"""A task starts only with roles that exist: those that a stack replaced are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import iam
from local.aws.strict import Rule
from local.fargate.programs import CannotStartError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

_ROLES: Final = ("executionRoleArn", "taskRoleArn")


def require(definition: Mapping[str, Any]) -> None:
    """Raise ``CannotStartError`` while a role of this definition is not there."""
    if refused := refusal(definition, iam.roles):
        raise CannotStartError(refused)


def refusal(definition: Mapping[str, Any], roles: Container[str]) -> str:
    """Why a task of this definition cannot start while there are these roles (names)."""
    for one in _ROLES:
        arn = str(definition.get(one) or "")
        if arn and arn.rpartition("/")[2] not in roles:
            return (
                f"ECS was unable to assume the role '{arn}' that was provided for this task."
                " Please verify that the role being passed has the proper trust relationship and"
                " permissions and that your IAM user has permissions to pass this role."
            )
    return ""


RULE: Final = Rule(
    name="task-roles",
    does="CloudFormation deletes replaced resources as soon as an update is done, and a task whose"
    " role no longer exists cannot start.",
    source="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html",
    caught="nothing: roles of a live cluster keep their names, and tasks move to a revision that"
    " names the current ones.",
)
