"""A role that CloudFormation makes has the permissions boundary of its template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import iam, provisioners
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_KIND: Final = "AWS::IAM::Role"


def install(_strictness: Strictness) -> None:
    """Set the boundary after each creation and update."""
    handlers = provisioners.RESOURCE_HANDLERS[_KIND]
    create, update = handlers["create"], handlers["update"]

    def creating(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        made = create(logical_id, properties, stack)
        set_boundary(iam.roles, made[0], properties)
        return made

    def updating(
        name: str, before: Mapping[str, Any], after: Mapping[str, Any], *more: Any, **named: Any
    ) -> Any:
        made = update(name, before, after, *more, **named)
        set_boundary(iam.roles, made[0], after)
        return made

    handlers["create"], handlers["update"] = creating, updating


def set_boundary(roles: Any, name: str, properties: Mapping[str, Any]) -> None:
    """Give a role the boundary of its properties, or take it where they have none."""
    boundary = properties.get("PermissionsBoundary")
    if boundary:
        roles[name]["PermissionsBoundary"] = str(boundary)
    else:
        roles[name].pop("PermissionsBoundary", None)


RULE: Final = Rule(
    name="role-boundaries",
    does="A role that CloudFormation creates or updates has the permissions boundary of its"
    " template, and an action is allowed only if the boundary allows it, too.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
    caught="nothing yet.",
    install=install,
)
