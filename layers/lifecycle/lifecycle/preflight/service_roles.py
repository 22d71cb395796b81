"""Roles with which AWS's services act for an account, and which they make at their first use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.checks import Check, Result

if TYPE_CHECKING:
    from collections.abc import Mapping

# By the service's principal, as far as a cluster's stack uses such a service.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html
# https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-service-linked-roles.html
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAM.ServiceLinkedRoles.html
# https://docs.aws.amazon.com/efs/latest/ug/using-service-linked-roles.html
SERVICE_ROLES: Final[Mapping[str, str]] = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
    "elasticfilesystem.amazonaws.com": "AWSServiceRoleForAmazonElasticFileSystem",
}


@dataclass(frozen=True, slots=True)
class ServiceRoles:
    """Services, by principal, whose role is not there, and those that may not make it.

    ``refused`` is None where that could not be read; ``unread`` then has the reason.
    """

    absent: frozenset[str] = frozenset()
    refused: frozenset[str] | None = frozenset()
    unread: str = ""


def check_service_roles(found: ServiceRoles) -> Check:
    """A service makes its role with the rights of who calls it first: the deployment role."""
    name = "service-linked roles"
    roles = ", ".join(SERVICE_ROLES.values())
    if not found.absent:
        return Check(name, Result.PASS, f"{roles} exist")
    absent = _named(found.absent)
    if found.refused is None:
        return Check(
            name,
            Result.WARN,
            f"missing: {absent}; whether the deployment role may create them could not be read: "
            f"{found.unread}",
            _make(found.absent),
        )
    if found.refused:
        return Check(
            name,
            Result.FAIL,
            f"missing, and the deployment role may not create it: {_named(found.refused)}",
            f"{_make(found.refused)}; the denial may come from an organization policy.",
        )
    return Check(
        name,
        Result.WARN,
        f"missing: {absent}; each service creates its own at first use, which the deployment role "
        "allows",
        "Nothing to do: ECS may briefly reject the account's first service; that is retried.",
    )


def _named(services: frozenset[str]) -> str:
    return ", ".join(role for service, role in SERVICE_ROLES.items() if service in services)


def _make(services: frozenset[str]) -> str:
    commands = ", ".join(
        f"aws iam create-service-linked-role --aws-service-name {service}"
        for service in SERVICE_ROLES
        if service in services
    )
    return f"Have an administrator create them: {commands}"
