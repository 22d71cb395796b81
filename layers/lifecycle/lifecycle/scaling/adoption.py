"""What stands in the way of scaling a cluster that something else made, with the lines to add.

Facts about Camunda's Terraform: its module sets the service's ``desired_count`` and the tasks'
``CAMUNDA_CLUSTER_SIZE`` from one variable, ``task_desired_count``, and ignores no change of either
(camunda/camunda-deployment-references, aws/modules/ecs/fargate/orchestration-cluster/ecs.tf).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.checks import Check, Result
from lifecycle.services.definition import minimum_healthy_percent

if TYPE_CHECKING:
    from lifecycle.services.brokers import BrokersSeen

MANAGEMENT_PORT: Final = 9600
REST_PORT: Final = 8080


@dataclass(frozen=True, slots=True)
class Ingress:
    """One rule that lets in: ports, and a security group or an address range (the other empty)."""

    first_port: int
    last_port: int
    group: str = ""
    cidr: str = ""


@dataclass(frozen=True, slots=True)
class ServiceDesign:
    """How the brokers' service was made.

    ``cluster_size`` is None when no task has it; ``node_ids`` is where tasks have their ids from.
    """

    groups: tuple[str, ...]
    ingress: tuple[Ingress, ...]
    cluster_size: int | None
    node_ids: str
    desired: int
    minimum_healthy: int
    maximum: int
    rebalancing: str


def adoption_checks(
    design: ServiceDesign,
    brokers: BrokersSeen,
    *,
    bootstrap: int,
    function_group: str,
    network: str,
) -> tuple[Check, ...]:
    """Check a cluster before it is scaled from here for the first time.

    ``bootstrap`` is what its stack gives as ``Brokers``; ``function_group`` the security group of
    the functions in the VPC, ``network`` the VPC's address range.
    """
    return (
        _reachable(brokers),
        _rules(design, brokers, function_group, network),
        _cluster_size(design, bootstrap),
        _node_ids(design),
        _desired_count(design),
        _deployment(design),
        _rebalancing(design),
    )


def _reachable(brokers: BrokersSeen) -> Check:
    name = "brokers reachable"
    if brokers.configuration is not None and brokers.topology is not None:
        return Check(name, Result.PASS, "management API and REST respond")
    problems = "; ".join(brokers.problems) or "no answer"
    remedy = (
        "The control stack must be in the cluster's VPC, the discovery name must resolve there, "
        "and the admin secret must be JSON with username and password and carry the tags "
        "camunda:control-plane, camunda:cluster and camunda:purpose of this cluster (if it does "
        "not, the command is above)."
    )
    return Check(name, Result.FAIL, problems, remedy)


def _rules(design: ServiceDesign, brokers: BrokersSeen, function_group: str, network: str) -> Check:
    name = "security group rules"
    missing = [
        port
        for port in (MANAGEMENT_PORT, REST_PORT)
        if not any(_lets_in(rule, port, function_group, network) for rule in design.ingress)
    ]
    if not missing:
        return Check(name, Result.PASS, f"{function_group} may reach 9600 and 8080")
    seen = f"no rule allows {function_group} to reach {', '.join(map(str, missing))}"
    if brokers.configuration is not None and brokers.topology is not None:
        return Check(name, Result.WARN, f"{seen}, yet the brokers respond", "None, if intended.")
    group = design.groups[0] if design.groups else "the brokers' security group"
    lines = "; ".join(
        f"aws ec2 authorize-security-group-ingress --group-id {group} --protocol tcp "
        f"--port {port} --source-group {function_group}"
        for port in missing
    )
    return Check(name, Result.FAIL, seen, f"Add: {lines}")


def _lets_in(rule: Ingress, port: int, group: str, network: str) -> bool:
    if not rule.first_port <= port <= rule.last_port:
        return False
    if rule.cidr:
        inside, given = ipaddress.ip_network(network), ipaddress.ip_network(rule.cidr)
        return (
            isinstance(inside, ipaddress.IPv4Network)
            and isinstance(given, ipaddress.IPv4Network)
            and inside.subnet_of(given)
        )
    return rule.group == group


def _cluster_size(design: ServiceDesign, bootstrap: int) -> Check:
    name = "cluster size stays"
    size = design.cluster_size
    if size == bootstrap:
        return Check(
            name,
            Result.PASS,
            f"CAMUNDA_CLUSTER_SIZE {size}, as bootstrapped",
            f"Leave task_desired_count = {bootstrap} in Terraform permanently (or pin "
            f"cluster_size = {bootstrap}, where the module has it): another value creates a new "
            "task definition and replaces every broker.",
        )
    seen = "not set" if size is None else str(size)
    return Check(
        name,
        Result.FAIL,
        f"CAMUNDA_CLUSTER_SIZE is {seen}, the adoption specifies {bootstrap} brokers",
        "Set the stack's parameter Brokers to the bootstrap size. If Terraform has changed "
        "CAMUNDA_CLUSTER_SIZE since, restore it before the next apply.",
    )


def _node_ids(design: ServiceDesign) -> Check:
    name = "node ids from S3"
    if design.node_ids == "s3":
        return Check(name, Result.PASS, "CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE s3")
    return Check(
        name,
        Result.FAIL,
        f"CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE is {design.node_ids or 'not set'}: tasks of one "
        "service then have fixed ids, and a new one would never become a separate broker",
        "Only clusters of Camunda 8.9 or later with the S3 node-id provider can be scaled; set the "
        "variable in the task definition if it is set elsewhere.",
    )


def _desired_count(design: ServiceDesign) -> Check:
    return Check(
        "count is left alone",
        Result.WARN,
        f"whether Terraform resets the desired count ({design.desired}) is not visible here; "
        "Camunda's module does, and a lower count stops brokers that hold partitions",
        'Add to resource "aws_ecs_service" "orchestration_cluster": lifecycle { ignore_changes = '
        "[desired_count, deployment_minimum_healthy_percent] }",
    )


def _deployment(design: ServiceDesign) -> Check:
    name = "one broker at a time"
    seen = f"minimum healthy {design.minimum_healthy} %, maximum {design.maximum} %"
    wanted = minimum_healthy_percent(design.desired)
    if design.minimum_healthy >= wanted and design.maximum <= 100:
        return Check(name, Result.PASS, seen)
    return Check(
        name,
        Result.WARN,
        seen,
        f"Scaling sets the minimum ({wanted} % for {design.desired}); set "
        "deployment_maximum_percent = 100, because a broker beyond the count gets no node id.",
    )


def _rebalancing(design: ServiceDesign) -> Check:
    name = "no rebalancing of availability zones"
    if design.rebalancing == "DISABLED":
        return Check(name, Result.PASS, "disabled")
    return Check(
        name,
        Result.WARN,
        "ECS may start a task beyond the count and stop a broker of its choice",
        'Add to the service: availability_zone_rebalancing = "DISABLED"',
    )
