"""CloudFormation creates and passes roles with the permissions of the stack's role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import cloudformation_api, provisioners
from local.aws.iam import role_allows, role_trusts
from local.aws.strict import Rule, service_linked_roles
from local.config import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.aws.strict import Strictness

_NAMING: Final = ("CreateStack", "UpdateStack", "CreateChangeSet", "DeleteStack")
_TYPES: Final = (
    *("AWS::IAM::Role", "AWS::ECS::TaskDefinition", "AWS::Scheduler::Schedule"),
    *service_linked_roles.FIRST_USES,
)

type Right = tuple[str, str, Mapping[str, str]]
"""An action, the resource it is authorised on, and the condition keys of the request."""


class NotAuthorizedError(Exception):
    """The deployment role lacks a right; the message is what CloudFormation gives as the reason."""


def install(_strictness: Strictness) -> None:
    """Remember each stack's role, and check its permissions before the actions that need it."""
    roles: dict[str, str] = {}
    actions = cloudformation_api.ACTION_HANDLERS
    for action in _NAMING:
        actions[action] = _remembering(actions[action], roles)
    for kind in _TYPES:
        handler = provisioners.RESOURCE_HANDLERS[kind]
        handler["create"] = _asking(handler["create"], kind, roles)


def _remembering(own: Any, roles: dict[str, str]) -> Any:
    """A stack keeps its role until a request names another one."""

    def act(parameters: Mapping[str, list[str]]) -> Any:
        role = (parameters.get("RoleARN") or [""])[0]
        if role:
            # Named by its ARN, a stack has its name before the last part.
            name = parameters["StackName"][0]
            roles[name.split("/")[1] if "/" in name else name] = role
        return own(parameters)

    return act


def _asking(own: Any, kind: str, roles: Mapping[str, str]) -> Any:
    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        role = roles.get(stack)
        for right in rights(kind, properties) if role else ():
            _refuse(str(role), *right)
        return own(logical_id, properties, stack)

    return create


def rights(kind: str, properties: Mapping[str, Any]) -> Iterator[Right]:
    """What a role needs to make a resource of these types, beside the type's own actions.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    """
    if kind in service_linked_roles.FIRST_USES:
        if first := service_linked_roles.right(kind):
            yield first
    elif kind == "AWS::IAM::Role":
        # A generated name: the evaluated policies name the path.
        name = properties.get("RoleName", "generated")
        arn = f"arn:aws:iam::{ACCOUNT_ID}:role{properties.get('Path', '/')}{name}"
        boundary = properties.get("PermissionsBoundary")
        keys = {"iam:PermissionsBoundary": str(boundary)} if boundary else {}
        yield "iam:CreateRole", arn, keys
        if properties.get("Policies"):
            yield "iam:PutRolePolicy", arn, keys
    elif kind == "AWS::ECS::TaskDefinition":
        for name in ("ExecutionRoleArn", "TaskRoleArn"):
            if properties.get(name):
                yield _passing(properties[name], "ecs-tasks")
    else:
        yield _passing(properties["Target"]["RoleArn"], "scheduler")


def _passing(role: str, service: str) -> Right:
    return "iam:PassRole", role, {"iam:PassedToService": f"{service}.amazonaws.com"}


def _refuse(role: str, action: str, resource: str, keys: Mapping[str, str]) -> None:
    trusted = role_trusts(role, "cloudformation.amazonaws.com")
    if not trusted or not role_allows(role, action, resource, keys):
        name = role.rpartition("/")[2]
        raise NotAuthorizedError(
            f"User: arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/AWSCloudFormation is not"
            f" authorized to perform: {action} on resource: {resource}"
        )


RULE: Final = Rule(
    name="deployment-role",
    does="CloudFormation acts on a stack with the permissions of the stack's role, if it has one."
    " Checked here: the roles it creates, with path and boundary, the service-linked roles, and the"
    " roles it passes. A test over the resource types' schemas covers all other permissions.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html",
    caught="nothing yet.",
    install=install,
)
