"""CloudFormation creates and passes roles with the permissions of the stack's role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws import resource_rights
from local.aws.emulator import cloudformation, cloudformation_api, iam, provisioners, stacks
from local.aws.iam import role_allows, role_trusts
from local.aws.resource_rights import KINDS, Right, given_tags
from local.aws.strict import Rule, service_linked_roles
from local.config import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.aws.strict import Strictness

_NAMING: Final = ("CreateStack", "UpdateStack", "CreateChangeSet", "DeleteStack")
_ROLE: Final = "AWS::IAM::Role"


class NotAuthorizedError(Exception):
    """The deployment role lacks a right; the message is what CloudFormation gives as the reason."""


def install(_strictness: Strictness) -> None:
    """Remember each stack's role, and check its permissions before the actions that need it."""
    roles: dict[str, str] = {}
    actions = cloudformation_api.ACTION_HANDLERS
    for action in _NAMING:
        actions[action] = _remembering(actions[action], roles)
    # A type that the emulator lacks fails at its creation anyway.
    for kind in {_ROLE, *KINDS} & provisioners.RESOURCE_HANDLERS.keys():
        handler = provisioners.RESOURCE_HANDLERS[kind]
        handler["create"] = _creating(handler["create"], kind, roles)
    stacks.update_resource = _updating(stacks.update_resource, roles)
    stacks.delete_resource = _deleting(stacks.delete_resource, roles)


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


def _creating(own: Any, kind: str, roles: Mapping[str, str]) -> Any:
    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        if role := roles.get(stack):
            for right in rights(kind, properties):
                _refuse(role, *right)
            if kind in KINDS:
                tags = _tags_of(stack)
                for right in resource_rights.of_creation(kind, logical_id, properties, stack, tags):
                    _refuse(role, *right)
        return own(logical_id, properties, stack)

    return create


def _updating(own: Any, roles: Mapping[str, str]) -> Any:
    """A replacement is a creation, and later a deletion."""

    def update(kind: str, physical_id: str, before: Any, after: Any, stack: str, *more: Any) -> Any:
        role = roles.get(stack)
        if role and before != after and not provisioners.replacing_change(kind, before, after):
            if kind == _ROLE:
                found = of_role_update(physical_id, before, after)
            elif kind in KINDS:
                tags = _tags_of(stack)
                found = resource_rights.of_update(kind, physical_id, before, after, tags)
            else:
                found = iter(())
            for right in found:
                _refuse(role, *right)
        return own(kind, physical_id, before, after, stack, *more)

    return update


def _deleting(own: Any, roles: Mapping[str, str]) -> Any:
    def delete(kind: str, physical_id: str, properties: Any, stack: str, *more: Any) -> Any:
        if role := roles.get(stack):
            if kind == _ROLE:
                found = of_role_deletion(physical_id, properties)
            elif kind in KINDS:
                tags = _tags_of(stack)
                found = resource_rights.of_deletion(kind, physical_id, properties, tags)
            else:
                found = iter(())
            for right in found:
                _refuse(role, *right)
        return own(kind, physical_id, properties, stack, *more)

    return delete


def _tags_of(stack: str) -> dict[str, str]:
    return given_tags(cloudformation.stacks.get(stack) or {})


def _boundary(properties: Mapping[str, Any]) -> dict[str, str]:
    boundary = properties.get("PermissionsBoundary")
    return {"iam:PermissionsBoundary": str(boundary)} if boundary else {}


def of_role_update(
    name: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Right]:
    """What a change of a role in place needs."""
    arn, keys = str((iam.roles.get(name) or {}).get("Arn", name)), _boundary(before)
    if before.get("Policies") != after.get("Policies"):
        yield "iam:PutRolePolicy", arn, keys
    if before.get("PermissionsBoundary") != after.get("PermissionsBoundary"):
        new = _boundary(after)
        verb = "Put" if new else "Delete"
        yield f"iam:{verb}RolePermissionsBoundary", arn, new or keys
    if given_tags(before) != given_tags(after):
        yield "iam:TagRole", arn, {}


def of_role_deletion(name: str, properties: Mapping[str, Any]) -> Iterator[Right]:
    """What the deletion of a role needs."""
    arn = str((iam.roles.get(name) or {}).get("Arn", name))
    if properties.get("Policies"):
        yield "iam:DeleteRolePolicy", arn, _boundary(properties)
    yield "iam:DeleteRole", arn, {}


def rights(kind: str, properties: Mapping[str, Any]) -> Iterator[Right]:
    """What a role needs to make a resource of these types, beside the type's own actions.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    """
    if kind in service_linked_roles.FIRST_USES:
        if first := service_linked_roles.right(kind):
            yield first
    elif kind == _ROLE:
        # A generated name: the evaluated policies name the path.
        name = properties.get("RoleName", "generated")
        arn = f"arn:aws:iam::{ACCOUNT_ID}:role{properties.get('Path', '/')}{name}"
        keys = _boundary(properties)
        yield "iam:CreateRole", arn, keys
        if properties.get("Policies"):
            yield "iam:PutRolePolicy", arn, keys
        if given_tags(properties):
            yield "iam:TagRole", arn, {}
    elif kind == "AWS::ECS::TaskDefinition":
        for name in ("ExecutionRoleArn", "TaskRoleArn"):
            if properties.get(name):
                yield _passing(properties[name], "ecs-tasks")
    elif kind == "AWS::Scheduler::Schedule":
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
    " Checked here: what creates, tags, changes and deletes a resource, by ARN and tags; the"
    " roles it creates, with path and boundary, the service-linked roles, and the roles it passes."
    " A test over the resource types' schemas covers what CloudFormation only reads.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html",
    caught="nothing yet.",
    install=install,
)
