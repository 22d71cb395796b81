"""Services act with roles that they make themselves, at their first use and for who calls them."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import iam, provisioners
from local.aws.strict import Rule
from local.config import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

FIRST_USES: Final[Mapping[str, tuple[str, str]]] = {
    "AWS::ECS::Cluster": ("ecs.amazonaws.com", "AWSServiceRoleForECS"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (
        "elasticloadbalancing.amazonaws.com",
        "AWSServiceRoleForElasticLoadBalancing",
    ),
    "AWS::RDS::DBCluster": ("rds.amazonaws.com", "AWSServiceRoleForRDS"),
    "AWS::EFS::FileSystem": (
        "elasticfilesystem.amazonaws.com",
        "AWSServiceRoleForAmazonElasticFileSystem",
    ),
}
"""Types of CloudFormation whose first resource makes a role: the service and the role's name.

What this project deploys only, and only by CloudFormation.
"""


def install(_strictness: Strictness) -> None:
    """Make the role when the first resource was made."""
    for kind, (service, role) in FIRST_USES.items():
        handler = provisioners.RESOURCE_HANDLERS[kind]
        handler["create"] = _making(handler["create"], service, role)


def _making(own: Any, service: str, role: str) -> Any:
    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        made = own(logical_id, properties, stack)
        if role not in iam.roles:
            iam.roles[role] = _role(service, role)
        return made

    return create


def right(kind: str) -> tuple[str, str, Mapping[str, str]] | None:
    """What a caller needs beside the type's own actions while the role is not there."""
    service, role = FIRST_USES.get(kind, ("", ""))
    if not role or role in iam.roles:
        return None
    return "iam:CreateServiceLinkedRole", arn(service, role), {"iam:AWSServiceName": service}


def arn(service: str, role: str) -> str:
    """Give the ARN of a service's role; its path is AWS's own."""
    return f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/{service}/{role}"


def _role(service: str, role: str) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {
        "RoleName": role,
        "Arn": arn(service, role),
        "RoleId": f"AROA{secrets.token_hex(8).upper()}",
        "CreateDate": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Path": f"/aws-service-role/{service}/",
        "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        "Description": "",
        "MaxSessionDuration": 3600,
        "AttachedPolicies": [],
        "InlinePolicies": {},
        "Tags": [],
    }


RULE: Final = Rule(
    name="service-linked-roles",
    does="ECS, load balancing, RDS and EFS act with service-linked roles, created at the first use"
    " of each, and only if the caller has `iam:CreateServiceLinkedRole`. A new account has none.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html",
    caught="nothing yet: the deployment role may have them created.",
    install=install,
)
