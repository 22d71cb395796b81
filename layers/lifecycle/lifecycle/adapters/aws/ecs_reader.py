"""Services and tasks as Amazon ECS describes them: the one place that reads them.

Sources: the API references of DescribeServices, ListTasks, DescribeTasks and GetTaskProtection,
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, Literal

from lifecycle.adapters.aws.session import client
from lifecycle.cluster.access import AGENT, ExecTask
from lifecycle.services.definition import COLLECTOR
from lifecycle.services.startup import Deployment
from lifecycle.services.stops import StoppedTask
from lifecycle.times import epoch, written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mypy_boto3_ecs import ECSClient

_PER_CALL: Final = 100


class EcsReader:
    """Reads for every caller; ``read_timeout`` (seconds) and ``attempts`` are the caller's."""

    def __init__(self, *, read_timeout: int = 20, attempts: int = 8) -> None:
        self._read_timeout = read_timeout
        self._attempts = attempts

    @property
    def api(self) -> ECSClient:
        """Return the client, for calls that change something."""
        api: ECSClient = client("ecs", read_timeout=self._read_timeout, attempts=self._attempts)
        return api

    def services(
        self, ecs_cluster: str, names: Sequence[str], *, with_tags: bool = False
    ) -> dict[str, Any]:
        """Return services by name, without those that do not exist.

        ECS describes a deleted service as INACTIVE for a while; its name is free again. Raises
        ``ClusterNotFoundException``.
        """
        more: Any = {"include": ["TAGS"]} if with_tags else {}
        answer = self.api.describe_services(cluster=ecs_cluster, services=list(names), **more)
        return {
            service["serviceName"]: service
            for service in answer["services"]
            if service["status"] != "INACTIVE"
        }

    def task_arns(
        self, ecs_cluster: str, service: str, desired: Literal["RUNNING", "STOPPED"]
    ) -> list[str]:
        """Return the ARNs of a service's tasks by their desired status."""
        pages = self.api.get_paginator("list_tasks").paginate(
            cluster=ecs_cluster, serviceName=service, desiredStatus=desired
        )
        return [arn for page in pages for arn in page["taskArns"]]

    def tasks(
        self, ecs_cluster: str, service: str, desired: Literal["RUNNING", "STOPPED"]
    ) -> list[Any]:
        """Return a service's tasks by their desired status; ECS keeps stopped ones for an hour."""
        return [
            task
            for few in itertools.batched(
                self.task_arns(ecs_cluster, service, desired), _PER_CALL, strict=False
            )
            for task in self.api.describe_tasks(cluster=ecs_cluster, tasks=list(few))["tasks"]
        ]

    def protection(self, ecs_cluster: str, arns: Sequence[str]) -> dict[str, datetime]:
        """Return until when each protected task is protected from scale-in, by its ARN."""
        return {
            one["taskArn"]: one["expirationDate"]
            for few in itertools.batched(arns, _PER_CALL, strict=False)
            for one in self.api.get_task_protection(cluster=ecs_cluster, tasks=list(few))[
                "protectedTasks"
            ]
            if one["protectionEnabled"] and one.get("expirationDate")
        }


def task_id(arn: str) -> str:
    """Return the id of a task, the last part of its ARN."""
    return arn.rsplit("/", 1)[-1]


def address(task: Any) -> str:
    """Return a task's private address; empty until its network interface is attached."""
    for attachment in task.get("attachments", ()):
        if attachment.get("type") == "ElasticNetworkInterface":
            for detail in attachment.get("details", ()):
                if detail.get("name") == "privateIPv4Address":
                    return str(detail["value"])
    return ""


def collector_status(task: Any) -> str:
    """Return ``lastStatus`` of a task's collector of metrics; empty without one."""
    return next(
        (
            str(one.get("lastStatus", ""))
            for one in task.get("containers", ())
            if one.get("name") == COLLECTOR
        ),
        "",
    )


def read_exec(task: Any, container: str) -> ExecTask:
    """Read what ECS Exec needs of a task, in its container of that name.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Container.html
    """
    own: Any = next((one for one in task.get("containers", ()) if one["name"] == container), {})
    agents = {one["name"]: one.get("lastStatus", "") for one in own.get("managedAgents", ())}
    return ExecTask(
        task_id=task_id(task["taskArn"]),
        runtime_id=own.get("runtimeId", ""),
        status=task.get("lastStatus", ""),
        agent=agents.get(AGENT, ""),
    )


def read_deployments(found: Any) -> tuple[Deployment, ...]:
    """Read the deployments of a service as DescribeServices returns them.

    Service Connect names are members of deployments, not of the service:
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html
    """
    return tuple(
        Deployment(
            deployment_id=d["id"],
            status=d["status"],
            rollout_state=d.get("rolloutState", ""),
            rollout_reason=d.get("rolloutStateReason", ""),
            failed_tasks=d.get("failedTasks", 0),
            running=d.get("runningCount", 0),
            created_at=epoch(d["createdAt"]) if "createdAt" in d else 0,
            endpoints=tuple(one["discoveryName"] for one in d.get("serviceConnectResources", ())),
        )
        for d in found.get("deployments", ())
    )


# Members of CreateService that DescribeServices shows under the same name.
_DESCRIBED: Final = (
    "serviceName",
    "taskDefinition",
    "availabilityZoneRebalancing",
    "loadBalancers",
    "serviceRegistries",
    "desiredCount",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "deploymentConfiguration",
    "networkConfiguration",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "deploymentController",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
)
# Members of CreateService that no service shows, only its deployments.
_OF_DEPLOYMENTS: Final = (
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
)


def described(found: Any) -> dict[str, Any]:
    """Return a described service in the shape of CreateService."""
    primary: Any = next((d for d in found.get("deployments", ()) if d["status"] == "PRIMARY"), {})
    return (
        {"cluster": found["clusterArn"].rsplit("/", 1)[-1]}
        | {name: found[name] for name in _DESCRIBED if name in found}
        | {name: primary[name] for name in _OF_DEPLOYMENTS if name in primary}
        | {"tags": [tag for tag in found.get("tags", ()) if not tag["key"].startswith("aws:")]}
    )


def read_stopped(task: Any) -> StoppedTask:
    """Read a stopped task as DescribeTasks returns it; the time is empty while it stops.

    How a collector of metrics ended explains no end of a task that ran: it is not essential
    (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html).
    """
    never_ran = task.get("stopCode") == "TaskFailedToStart"
    at = task.get("stoppedAt") or task.get("stoppingAt")
    return StoppedTask(
        task_id=task_id(task["taskArn"]),
        stopped_at=written(at) if at is not None else "",
        stop_code=task.get("stopCode", ""),
        reason=task.get("stoppedReason", ""),
        containers=tuple(
            container
            for one in task.get("containers", ())
            if (never_ran or one.get("name") != COLLECTOR) and (container := _container(one))
        ),
    )


def _container(container: Any) -> str:
    """Return how a container ended; empty for one that ended well, or has not ended."""
    parts = [f"exit code {code}"] if (code := container.get("exitCode")) else []
    if container.get("reason"):
        parts.append(container["reason"])
    return ", ".join((container.get("name", "container"), *parts)) if parts else ""
