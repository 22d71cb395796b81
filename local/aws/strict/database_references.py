"""A cluster is created only with parameter, security and subnet groups that there are and that fit.

The codes and texts are those of RDS, as they are quoted in these reports:

- https://github.com/awslabs/aws-rails-provisioner/issues/5 (family of a parameter group)
- https://github.com/aws/aws-cdk/issues/2512 (no such parameter group)
- https://github.com/aws/aws-cli/issues/574 (no such security group)
- https://github.com/hashicorp/terraform/issues/3699 (no subnet group, no default VPC)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import ec2, provisioners, rds
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.aws.strict import Strictness

_KIND: Final = "AWS::RDS::DBCluster"
_DEFAULT: Final = "default."


@dataclass(frozen=True)
class Refusal:
    """Why RDS creates no cluster."""

    code: str
    message: str
    status: int = 400


@dataclass(frozen=True)
class Named:
    """What a request or a template names for a new cluster; empty where it names nothing."""

    engine: str
    version: str
    parameters: str = ""
    subnets: str = ""
    security: Sequence[str] = ()


@dataclass(frozen=True)
class There:
    """What there is: families of parameter groups, and the VPCs of the other two, by name."""

    families: Mapping[str, str]
    subnets: Mapping[str, str]
    security: Mapping[str, str]
    default_vpc: str


def family(engine: str, version: str) -> str:
    """Give the family of parameter groups of a version of Aurora PostgreSQL."""
    return engine + version.partition(".")[0]


def refusal(named: Named, there: There) -> Refusal | None:
    """Why a cluster with these cannot be created; None if it can."""
    vpc = there.default_vpc
    if named.subnets:
        if named.subnets not in there.subnets:
            return Refusal(
                "DBSubnetGroupNotFoundFault",
                f"DB subnet group '{named.subnets}' does not exist.",
                404,
            )
        vpc = there.subnets[named.subnets]
    elif not vpc:
        return Refusal(
            "InvalidSubnet",
            "No default subnet detected in VPC. Please contact AWS Support to recreate default"
            " Subnets.",
        )
    for one in named.security:
        if one not in there.security:
            return Refusal(
                "InvalidParameterValue", f"Invalid security group , groupId= {one}, groupName=."
            )
        if there.security[one] != vpc:
            return Refusal(
                "InvalidParameterCombination",
                "The DB instance and EC2 security group are in different VPCs. The DB instance is"
                f" in {vpc} and the EC2 security group is in {there.security[one]}",
            )
    return _of_parameters(named, there)


def _of_parameters(named: Named, there: There) -> Refusal | None:
    group, needed = named.parameters, family(named.engine, named.version)
    if not group or group == _DEFAULT + needed:
        return None
    default = group.startswith(_DEFAULT + named.engine)
    found = group.removeprefix(_DEFAULT) if default else there.families.get(group)
    if found is None:
        return Refusal(
            "DBClusterParameterGroupNotFound", f"DBClusterParameterGroup not found: {group}", 404
        )
    if found != needed:
        return Refusal(
            "InvalidParameterCombination",
            f"The Parameter Group {group} with DBParameterGroupFamily {found} cannot be used for"
            f" this instance. Please use a Parameter Group with DBParameterGroupFamily {needed}",
        )
    return None


def there() -> There:
    """Read what there is now."""
    ec2.ensure_defaults_initialized()
    default = [identifier for identifier, one in ec2.vpcs.items() if one.get("IsDefault")]
    return There(
        families={
            name: one["DBParameterGroupFamily"] for name, one in rds.db_cluster_param_groups.items()
        },
        subnets={name: one["VpcId"] for name, one in rds.subnet_groups.items()},
        security={name: one["VpcId"] for name, one in ec2.security_groups.items()},
        default_vpc=default[0] if default else "",
    )


def install(_strictness: Strictness) -> None:
    """Check before CloudFormation creates a cluster; a replacement is created, too."""
    handlers = provisioners.RESOURCE_HANDLERS[_KIND]
    own = handlers["create"]

    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        engine = str(properties.get("Engine") or "")
        named = Named(
            engine,
            str(properties.get("EngineVersion") or rds.default_engine_version(engine)),
            str(properties.get("DBClusterParameterGroupName") or ""),
            str(properties.get("DBSubnetGroupName") or ""),
            [str(one) for one in properties.get("VpcSecurityGroupIds") or ()],
        )
        if refused := refusal(named, there()):
            raise ValueError(f"{refused.message} (Service: Rds, Status Code: {refused.status})")
        return own(logical_id, properties, stack)

    handlers["create"] = create


RULE: Final = Rule(
    name="database-references",
    does="A cluster is created or restored only with a parameter group of its engine's family, a"
    " subnet group, or a default VPC without one, and security groups of the same VPC; all of which"
    " there must be.",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterFromSnapshot.html",
    caught="nothing yet.",
    install=install,
)
