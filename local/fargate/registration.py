"""Registration of a running task: Cloud Map, the names of the VPC, and target groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.aws.emulator import alb, servicediscovery
from local.config import REGION
from local.fargate import cloud_map
from local.proxy.targets import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.fargate.task import Record, Task
    from local.names import Names


def register(service: Record, task: Task, names: Names) -> list[str]:
    """Register a running task. Returns its target groups.

    Instance attributes are those that ECS sets.
    """
    for registry in service.get("serviceRegistries") or []:
        service_id = registry["registryArn"].rsplit("/", 1)[-1]
        if service_id in servicediscovery.services:
            servicediscovery.register_instance(
                {
                    "ServiceId": service_id,
                    "InstanceId": task.id,
                    "Attributes": {
                        "AWS_INSTANCE_IPV4": task.address,
                        "AWS_INIT_HEALTH_STATUS": "HEALTHY",
                        "AVAILABILITY_ZONE": task.record["availabilityZone"],
                        "REGION": REGION,
                        "ECS_CLUSTER_NAME": service["clusterArn"].rsplit("/", 1)[-1],
                        "ECS_SERVICE_NAME": service["serviceName"],
                        "ECS_TASK_DEFINITION_FAMILY": task.definition["family"],
                    },
                }
            )
            _publish_name(service_id, names)
    cloud_map.register(task)
    groups = []
    for balancer in service.get("loadBalancers") or []:
        group, port = balancer["targetGroupArn"], balancer["containerPort"]
        if group in alb.tgs:
            targets = alb.targets.setdefault(group, [])
            targets.append({"Id": task.address, "Port": port, "_task": task.id})
            groups.append(group)
    return groups


def deregister(service: Record, task: Task, names: Names) -> list[str]:
    """Deregister a task from Cloud Map and let its targets drain. Returns the target groups."""
    for registry in service.get("serviceRegistries") or []:
        service_id = registry["registryArn"].rsplit("/", 1)[-1]
        if service_id in servicediscovery.services:
            servicediscovery.deregister_instance({"ServiceId": service_id, "InstanceId": task.id})
            _publish_name(service_id, names)
    cloud_map.deregister(task)
    groups = []
    for group, targets in list(alb.targets.items()):
        for target in targets:
            if target.get("_task") == task.id:
                target["_state"] = "draining"
                groups.append(group)
    return groups


def forget_targets(task: Task) -> None:
    """Take a task's targets out of their groups: their connections have drained."""
    for group, targets in list(alb.targets.items()):
        alb.targets[group] = [one for one in targets if one.get("_task") != task.id]


def target_states(service: Record, task: Task) -> dict[str, str]:
    """State of the task in each target group of its service (for `local/proxy/targets.py`)."""
    return {group: one.get("_state", "initial") for group, one in _targets(service, task)}


@dataclass(frozen=True)
class UnhealthyTarget:
    """A target of a task that fails its health checks, and why."""

    group: str
    port: int
    reason: str


def unhealthy_target(service: Record, task: Task) -> UnhealthyTarget | None:
    """Give the first target of the task that is unhealthy."""
    for group, target in _targets(service, task):
        if target.get("_state") == "unhealthy":
            return UnhealthyTarget(group, target["Port"], explain(target)[1])
    return None


def _targets(service: Record, task: Task) -> Iterator[tuple[str, Record]]:
    """Target groups of the service, each with the task's target in it."""
    for balancer in service.get("loadBalancers") or []:
        group = balancer["targetGroupArn"]
        for target in alb.targets.get(group, []):
            if target.get("_task") == task.id and target["Port"] == balancer["containerPort"]:
                yield group, target


def _publish_name(service_id: str, names: Names) -> None:
    service = servicediscovery.services[service_id]
    namespace = servicediscovery.namespaces.get(service.get("NamespaceId"), {})
    names.set(
        f"{service['Name']}.{namespace.get('Name', '')}",
        [
            instance["Attributes"]["AWS_INSTANCE_IPV4"]
            for instance in servicediscovery.instances.get(service_id, {}).values()
            if "AWS_INSTANCE_IPV4" in instance["Attributes"]
        ],
    )
