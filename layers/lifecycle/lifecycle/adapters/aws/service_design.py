"""How an ECS service was made: its network, its tasks' environment, its deployment settings."""

from __future__ import annotations

from typing import Any, Final

from lifecycle.adapters.aws.session import client
from lifecycle.errors import ServiceMissing
from lifecycle.scaling.adoption import MANAGEMENT_PORT, Ingress, ServiceDesign

_ALL_PORTS: Final = 65535
_SIZE: Final = "CAMUNDA_CLUSTER_SIZE"
_NODE_IDS: Final = "CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE"


class EcsServiceDesigns:
    """The ``ServiceDesigns`` port on ECS and EC2."""

    def read(self, ecs_cluster: str, service: str) -> ServiceDesign:
        """Read how a service was made. Raises ``ServiceMissing``."""
        ecs = client("ecs")
        found = ecs.describe_services(cluster=ecs_cluster, services=[service])["services"]
        if not found:
            raise ServiceMissing(f"ECS cluster {ecs_cluster} has no service {service}.")
        made = found[0]
        definition = ecs.describe_task_definition(taskDefinition=made["taskDefinition"])
        environment = _environment(definition["taskDefinition"])
        size = environment.get(_SIZE, "")
        network = made.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
        groups = tuple(network.get("securityGroups", ()))
        deployment = made.get("deploymentConfiguration", {})
        return ServiceDesign(
            groups=groups,
            ingress=_ingress(groups),
            cluster_size=int(size) if size.isdecimal() else None,
            node_ids=environment.get(_NODE_IDS, ""),
            desired=made["desiredCount"],
            minimum_healthy=deployment.get("minimumHealthyPercent", 100),
            maximum=deployment.get("maximumPercent", 200),
            # The default of ECS.
            rebalancing=made.get("availabilityZoneRebalancing", "ENABLED"),
        )


class EcsTaskSecrets:
    """The ``TaskSecrets`` port on ECS."""

    def references(self, revision: str) -> frozenset[str]:
        """Return the ``valueFrom`` of each secret in a revision's containers, by its ARN."""
        found = client("ecs").describe_task_definition(taskDefinition=revision)
        return frozenset(
            str(entry["valueFrom"])
            for container in found["taskDefinition"]["containerDefinitions"]
            for entry in container.get("secrets", ())
        )


def _environment(definition: Any) -> dict[str, str]:
    """Variables of the broker's container, wherever it is in the list of a task's containers.

    It is the one with the management port, 9600, as health checks and functions reach it. Where
    none maps it, which ``awsvpc`` allows, the first container that sets a variable counts.
    """
    containers = definition["containerDefinitions"]
    found: dict[str, str] = {}
    for container in [one for one in containers if _has_management(one)] or containers:
        for entry in container.get("environment", ()):
            found.setdefault(entry["name"], str(entry["value"]))
    return found


def _has_management(container: Any) -> bool:
    return any(
        one.get("containerPort") == MANAGEMENT_PORT for one in container.get("portMappings", ())
    )


def _ingress(groups: tuple[str, ...]) -> tuple[Ingress, ...]:
    if not groups:
        return ()
    pages = (
        client("ec2")
        .get_paginator("describe_security_group_rules")
        .paginate(Filters=[{"Name": "group-id", "Values": list(groups)}])
    )
    return tuple(
        _rule(rule)
        for page in pages
        for rule in page["SecurityGroupRules"]
        if not rule["IsEgress"] and rule["IpProtocol"] in {"tcp", "-1"}
    )


def _rule(rule: Any) -> Ingress:
    every = rule["IpProtocol"] == "-1"
    return Ingress(
        first_port=0 if every else rule["FromPort"],
        last_port=_ALL_PORTS if every else rule["ToPort"],
        group=rule.get("ReferencedGroupInfo", {}).get("GroupId", ""),
        cidr=rule.get("CidrIpv4", ""),
    )
