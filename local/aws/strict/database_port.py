"""Aurora listens on MySQL's port unless the template sets another; security groups list ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.cloudformation import extend
from local.aws.emulator import ec2, rds
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from local.aws.strict import Strictness

_DEFAULT: Final = 3306


def install(_strictness: Strictness) -> None:
    """Set the port that CloudFormation's handler sends for any engine."""
    extend("AWS::RDS::DBCluster", _listen)


def _listen(physical_id: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    port = port_of(properties)
    rds.clusters[physical_id]["Port"] = port
    return {"Endpoint.Port": str(port)}


def port_of(properties: Mapping[str, Any]) -> int:
    """Port of a provisioned cluster with these properties in a template."""
    return int(properties.get("Port") or _DEFAULT)


def is_let_in(cluster: Mapping[str, Any]) -> bool:
    """Whether the security groups of a cluster allow any access to its port.

    A cluster that names none is in its network's default group, which is not looked at.
    """
    named = [one["VpcSecurityGroupId"] for one in cluster.get("VpcSecurityGroups") or ()]
    groups = [ec2.security_groups.get(one) or {} for one in named]
    permissions = [rule for group in groups for rule in group.get("IpPermissions", ())]
    return not named or covers(permissions, int(cluster["Port"]))


def covers(permissions: Iterable[Mapping[str, Any]], port: int) -> bool:
    """Whether rules of a security group are for this port; without ports they are for all."""
    return any(
        int(rule.get("FromPort", 0)) <= port <= int(rule.get("ToPort", 65535))
        for rule in permissions
    )


RULE: Final = Rule(
    name="database-port",
    does="CloudFormation creates a provisioned Aurora PostgreSQL cluster without `Port` on port"
    " 3306, and a security group blocks every port that it does not list.",
    source="https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-rds/issues/336",
    caught="the database listened on 3306 while its security group, the brokers and the functions"
    " were configured for 5432: seeding timed out.",
    install=install,
)
