"""One Fargate task: a network address, real processes, and the record that DescribeTasks shows."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.aws.emulator import ecs, secretsmanager, ssm
from local.config import ACCOUNT_ID, REGION
from local.fargate.health import ContainerHealth
from local.fargate.programs import CannotStartError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from local.fargate.health import ContainerCheck
    from local.processes import Process

Record = dict[str, Any]
ZONES = "abc"
# As DescribeTasks counts them: a task on its way up has one of the first three.
STARTING = ("PROVISIONING", "PENDING", "ACTIVATING")


@dataclass
class Container:
    """A container of a task. `record` is its part of DescribeTasks."""

    definition: Record
    record: Record
    log: Path
    process: Process | None = None
    check: ContainerCheck | None = None
    health: ContainerHealth = field(default_factory=ContainerHealth)
    started_at: float = 0.0
    asked_at: float = 0.0
    asking: Future[bool] | None = None

    @property
    def name(self) -> str:
        """Name in the task definition."""
        return str(self.definition["name"])

    @property
    def essential(self) -> bool:
        """Whether its end is the end of the task."""
        return bool(self.definition.get("essential", True))

    @property
    def started(self) -> bool:
        """Whether it has begun, also if it has ended since."""
        return bool(self.record["lastStatus"] != "PENDING")

    def ended(self) -> int | None:
        """Exit code as a container engine reports it (128 + signal), or None while it runs."""
        code = self.process.poll() if self.process else None
        return 128 - code if code is not None and code < 0 else code


@dataclass
class Task:
    """A task of a service or of RunTask. `record` is what DescribeTasks shows; the rest is ours."""

    record: Record
    definition: Record
    service: str
    """The service's own id: a service that is deleted and created again has another.

    That of the request for a task that no service runs.
    """
    deployment: str
    deployed: float
    """When its deployment began."""
    connect: Record
    """Its deployment's Service Connect configuration, empty without one."""
    address: str
    containers: list[Container]
    directory: Path
    changed_at: float
    """When the present status began."""
    node_id: int | None = None
    stop_grace: float = 0.0
    stopping: list[Future[int]] = field(default_factory=list)
    was_healthy: bool = False
    registered: bool = False
    standalone: bool = False
    """Whether RunTask started it: nothing replaces it, and no check stops it."""

    @property
    def arn(self) -> str:
        """ARN of the task."""
        return str(self.record["taskArn"])

    @property
    def id(self) -> str:
        """Last part of the ARN."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def status(self) -> str:
        """`lastStatus`."""
        return str(self.record["lastStatus"])

    @property
    def live(self) -> bool:
        """Starting or running, and not stopping."""
        return bool(self.record["desiredStatus"] == "RUNNING")

    def move(self, status: str, now: float) -> None:
        """Change `lastStatus`."""
        self.record["lastStatus"] = status
        self.record["version"] += 1
        self.changed_at = now

    def refresh_health(self) -> None:
        """Derive the task's health from its essential containers that define a check."""
        checked = [one for one in self.containers if one.check and one.essential]
        for container in self.containers:
            container.record["healthStatus"] = container.health.status
        states = {one.health.status for one in checked}
        self.record["healthStatus"] = (
            "UNHEALTHY"
            if "UNHEALTHY" in states
            else "HEALTHY"
            if states == {"HEALTHY"}
            else "UNKNOWN"
        )

    def protected(self, now: float) -> bool:
        """Whether scale-in protection is on and has not expired."""
        return bool(self.record.get("_protected_until", 0) > now)


def new_task(
    service: Record, definition: Record, *, address: str, number: int, root: Path, now: float
) -> Task:
    """Make a task of the service's primary deployment, PROVISIONING; nothing is started yet.

    `service` may be a request of RunTask; see `standalone.run`.
    """
    cluster = service["clusterArn"].rsplit("/", 1)[-1]
    deployment = service["deployments"][0]
    task_id = uuid.uuid4().hex
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:task/{cluster}/{task_id}"
    subnets = (
        service.get("networkConfiguration", {}).get("awsvpcConfiguration", {}).get("subnets")
    ) or ["subnet-unknown"]
    interface = f"eni-{uuid.uuid4().hex[:17]}"
    attachment = {
        "id": str(uuid.uuid4()),
        "type": "ElasticNetworkInterface",
        "status": "PRECREATED",
        "details": [{"name": "subnetId", "value": subnets[number % len(subnets)]}],
        "_eni": interface,
    }
    directory = root / task_id
    containers = [
        Container(
            definition=container,
            record=_container_record(container, arn),
            log=directory / f"{container['name']}.log",
        )
        for container in definition["containerDefinitions"]
    ]
    record = {
        "taskArn": arn,
        "clusterArn": service["clusterArn"],
        "taskDefinitionArn": definition["taskDefinitionArn"],
        "group": f"service:{service['serviceName']}",
        "startedBy": deployment["id"],
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "platformFamily": "Linux",
        "cpu": definition.get("cpu", "256"),
        "memory": definition.get("memory", "512"),
        "availabilityZone": f"{REGION}{ZONES[number % len(ZONES)]}",
        "lastStatus": "PROVISIONING",
        "desiredStatus": "RUNNING",
        "healthStatus": "UNKNOWN",
        "createdAt": now,
        "version": 1,
        "attachments": [attachment],
        "containers": [container.record for container in containers],
        "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": []},
        "enableExecuteCommand": bool(service.get("enableExecuteCommand")),
        "ephemeralStorage": definition.get("ephemeralStorage") or {"sizeInGiB": 20},
        "attributes": [],
        **service.get("_shown", {}),
    }
    return Task(
        record=record,
        definition=definition,
        service=service["_uid"],
        deployment=deployment["id"],
        deployed=deployment["createdAt"],
        connect=deployment.get("serviceConnectConfiguration", {}),
        address=address,
        containers=containers,
        directory=directory,
        changed_at=now,
        standalone="_run" in service,
    )


def attach_interface(task: Task) -> None:
    """Show the task's network interface, as ECS does once it has one."""
    attachment = task.record["attachments"][0]
    interface = attachment["_eni"]
    attachment["status"] = "ATTACHED"
    octets = [int(part) for part in task.address.split(".")]
    attachment["details"] += [
        {"name": "networkInterfaceId", "value": interface},
        {"name": "macAddress", "value": "0a:58:" + ":".join(f"{octet:02x}" for octet in octets)},
        {
            "name": "privateDnsName",
            "value": f"ip-{task.address.replace('.', '-')}.{REGION}.compute.internal",
        },
        {"name": "privateIPv4Address", "value": task.address},
    ]
    for container in task.containers:
        container.record["networkInterfaces"] = [
            {"attachmentId": attachment["id"], "privateIpv4Address": task.address}
        ]


def task_tags(service: Record, definition: Record) -> list[dict[str, str]]:
    """Tags that ECS gives a task: those it propagates, and its managed ones."""
    source = {
        "SERVICE": service["serviceArn"],
        "TASK_DEFINITION": definition["taskDefinitionArn"],
    }.get(service.get("propagateTags", "NONE"), "")
    tags = list(ecs.tags.get(source, []))
    if service.get("enableECSManagedTags"):
        cluster = service["clusterArn"].rsplit("/", 1)[-1]
        tags += [
            {"key": "aws:ecs:clusterName", "value": cluster},
            {"key": "aws:ecs:serviceName", "value": service["serviceName"]},
        ]
    return tags


def environment_of(container: Mapping[str, Any]) -> dict[str, str]:
    """Give a container's declared variables and its secrets' values.

    Raises CannotStartError if a secret cannot be read: ECS then does not start the task.
    """
    environment = {
        entry["name"]: str(entry["value"]) for entry in container.get("environment") or []
    }
    for entry in container.get("secrets") or []:
        environment[entry["name"]] = _secret(entry["valueFrom"])
    return environment


def _secret(reference: str) -> str:
    failure = (
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
        f"retrieval failed: unable to retrieve secret from asm: {reference}"
    )
    if ":secretsmanager:" not in reference:
        value = ssm.resolve_parameter_value(reference)
        if value is None:
            raise CannotStartError(failure)
        return str(value)
    # arn:aws:secretsmanager:region:account:secret:name[:json-key[:stage[:version]]]
    parts = reference.split(":")
    key, stage, version = ([*parts[7:], "", "", ""])[:3]
    value = secretsmanager.resolve_secret_string(
        ":".join(parts[:7]), stage or "AWSCURRENT", version or None
    )
    if value is None:
        raise CannotStartError(failure)
    if not key:
        return str(value)
    try:
        return str(json.loads(value)[key])
    except (ValueError, KeyError, TypeError) as error:
        # Not `from error`: its text could carry the secret.
        raise CannotStartError(f"{failure}: no key {key} in it") from (
            None if isinstance(error, ValueError) else error
        )


def _container_record(container: Mapping[str, Any], task_arn: str) -> Record:
    return {
        "containerArn": f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:container/{uuid.uuid4()}",
        "taskArn": task_arn,
        "name": container["name"],
        "image": container.get("image", ""),
        "runtimeId": f"{task_arn.rsplit('/', 1)[-1]}-{uuid.uuid4().int % 10**10:010d}",
        "lastStatus": "PENDING",
        "networkBindings": [],
        "networkInterfaces": [],
        "healthStatus": "UNKNOWN",
        "cpu": str(container.get("cpu", 0)),
    }
