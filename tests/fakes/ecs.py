"""In-memory fake of ECS services and of load-balancer target health."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.checks import TargetHealth
from lifecycle.errors import ServiceDraining
from lifecycle.services.definition import BROKERS, EFFECTS, Effect, configuration_for
from lifecycle.services.image_digests import Running
from lifecycle.services.startup import Deployment, LivingTask, Service, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lifecycle.cluster.access import ExecTask
    from lifecycle.services.stops import StoppedTask

    from tests.fakes.ecs_tasks import FakeBrokerTasks


@dataclass
class FakeServices:
    """Services by name; what a task logged and how it stopped is set by the test.

    ``designs`` are the definitions that ``add`` gives a service. ``draining`` holds names whose
    former service is still being deleted. Where ``tasks`` are given, they are the brokers' service.
    """

    services: dict[str, Service] = field(default_factory=dict)
    designs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    stopped: dict[str, list[StoppedTask]] = field(default_factory=dict)
    logs: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    draining: set[str] = field(default_factory=set)
    now: Callable[[], int] = lambda: 0
    tasks: FakeBrokerTasks | None = None
    deployed: int = 1
    leaving: dict[str, list[LivingTask]] = field(default_factory=dict)
    """Tasks of former deployments, by service: ECS lists their deployment no more, and they run."""
    executable: dict[str, list[ExecTask]] = field(default_factory=dict)
    """What ECS Exec needs of the running tasks, by service."""
    running: dict[str, list[Running]] = field(default_factory=dict)
    """Images by service; what is not here is unknown."""

    def add(self, name: str, *, desired: int = 0, running: int | None = None) -> None:
        """Add a service as it is designed, without a deployment in progress."""
        definition = dict(self.designs.get(name, {"serviceName": name}))
        if "deploymentConfiguration" in definition:
            present = definition["deploymentConfiguration"]
            if name == BROKERS and desired:
                definition["deploymentConfiguration"] = configuration_for(present, desired)
        self.services[name] = Service(
            name=name,
            status="ACTIVE",
            desired=desired,
            running=desired if running is None else running,
            pending=0,
            deployments=(
                Deployment("d-1", "PRIMARY", "COMPLETED", "", 0, endpoints=_endpoints(definition)),
            ),
            revision=definition.get("taskDefinition", ""),
            definition={**definition, "desiredCount": desired},
        )

    def describe(self, ecs_cluster: str, names: Sequence[str]) -> Sequence[Service]:
        """Describe services; what is not there is missing."""
        del ecs_cluster
        return [self._seen(self.services.get(name, missing(name))) for name in names]

    def running_images(self, service: Service, container: str) -> Sequence[Running]:
        """Images that a container of a service runs."""
        unknown = [Running("", "", "no revision is kept")] if container == service.name else []
        return self.running.get(container, unknown)

    def _seen(self, service: Service) -> Service:
        """Where there are tasks, counts and deployments of the brokers' service are theirs."""
        if self.tasks is None or service.name != self.tasks.name or not service.exists:
            return service
        listed = {one.deployment_id: one for one in service.deployments}
        return replace(
            service,
            desired=self.tasks.desired,
            running=sum(one.running for one in self.tasks.counted),
            deployments=tuple(
                replace(one, endpoints=next(iter(listed.values())).endpoints)
                for one in self.tasks.counted
            ),
            definition=self._counted(service, self.tasks.desired),
        )

    @staticmethod
    def _counted(service: Service, count: int) -> dict[str, Any]:
        """The definition with another count, and with the configuration that was set with it."""
        definition = {**service.definition, "desiredCount": count}
        present = definition.get("deploymentConfiguration")
        if present and count and count != service.definition["desiredCount"]:
            definition["deploymentConfiguration"] = configuration_for(present, count)
        return definition

    def create(self, definition: Mapping[str, Any]) -> None:
        """Create a service; one that is there already is left as it is."""
        name = definition["serviceName"]
        if name in self.draining:
            raise ServiceDraining(f"ECS still removes an earlier service {name}.")
        if name in self.services:
            return
        self.add(name)
        count = int(definition["desiredCount"])
        self.services[name] = replace(
            self.services[name],
            desired=count,
            pending=count,
            revision=definition["taskDefinition"],
            definition=dict(definition),
            deployments=(self._deployment(definition),),
        )

    def update(
        self, ecs_cluster: str, name: str, properties: Mapping[str, Any], *, redeploy: bool = False
    ) -> None:
        """Set properties; those that replace tasks begin a deployment where they differ."""
        service = self.services[name] = self._seen(self.services[name])
        definition = {**service.definition, **properties}
        differing = [key for key in properties if service.definition.get(key) != definition[key]]
        if "desiredCount" in properties:
            self.set_count(ecs_cluster, name, int(properties["desiredCount"]))
        service = replace(
            self.services[name], definition=definition, revision=definition["taskDefinition"]
        )
        deploys = any(EFFECTS[key] is Effect.DEPLOYS for key in differing)
        if deploys or redeploy:
            if self.tasks is None or name != self.tasks.name:
                self.leaving[name] = list(self.living_tasks(ecs_cluster, name))
            service = replace(
                service,
                running=0,
                pending=service.desired,
                deployments=(self._deployment(definition),),
            )
        self.services[name] = service
        if self.tasks is not None and name == self.tasks.name:
            percent = definition["deploymentConfiguration"]["minimumHealthyPercent"]
            self.tasks.minimum_healthy = percent
            if deploys or redeploy:
                self.tasks.deploy(service.revision)

    def tag(self, ecs_cluster: str, name: str, tags: Mapping[str, str]) -> None:
        """Give a service exactly these tags."""
        del ecs_cluster
        listed = [{"key": key, "value": tags[key]} for key in sorted(tags)]
        service = self.services[name]
        self.services[name] = replace(service, definition={**service.definition, "tags": listed})

    def delete(self, ecs_cluster: str, name: str) -> None:
        """Delete a service."""
        del ecs_cluster
        del self.services[name]

    def _deployment(self, definition: Mapping[str, Any]) -> Deployment:
        self.deployed += 1
        return Deployment(
            f"d-{self.deployed}",
            "PRIMARY",
            "IN_PROGRESS",
            "",
            0,
            created_at=self.now(),
            endpoints=_endpoints(definition),
        )

    def set_count(self, ecs_cluster: str, name: str, count: int) -> None:
        """Set the desired count."""
        del ecs_cluster
        service = self.services[name]
        definition = {**service.definition, "desiredCount": count}
        if self.tasks is not None and name == self.tasks.name:
            self.tasks.desired = count
        running = min(service.running, count)
        self.services[name] = replace(
            service, desired=count, running=running, definition=definition
        )

    def settle(self, name: str) -> None:
        """Let every desired task run, and those of former deployments stop, and then be gone."""
        service = self.services[name]
        self.leaving[name] = [
            replace(one, status="STOPPING")
            for one in self.leaving.get(name, ())
            if one.status == "RUNNING"
        ]
        self.services[name] = replace(
            service,
            running=service.desired,
            pending=0,
            deployments=tuple(
                replace(one, rollout_state="COMPLETED")
                for one in service.deployments
                if one.status == "PRIMARY"
            ),
        )

    def stopped_tasks(self, ecs_cluster: str, name: str, since: str) -> Sequence[StoppedTask]:
        """Tasks that stopped."""
        del ecs_cluster
        return [task for task in self.stopped.get(name, []) if task.stopped_at >= since]

    def living_tasks(self, ecs_cluster: str, name: str) -> Sequence[LivingTask]:
        """Tasks whose containers may run, those of the newest deployment first."""
        del ecs_cluster
        service = self.services[name]
        primary = service.primary
        own = primary.deployment_id if primary is not None else ""
        young = [LivingTask(f"{own}-{n}", own, "RUNNING") for n in range(service.running)]
        return [*young, *self.leaving.get(name, ())]

    def exec_tasks(self, ecs_cluster: str, name: str) -> Sequence[ExecTask]:
        """Running tasks of a service, as the test gives them."""
        del ecs_cluster
        return self.executable.get(name, [])

    def last_log_lines(self, log_group: str, task_id: str, limit: int) -> Sequence[str]:
        """Last lines of a task."""
        return self.logs.get((log_group, task_id), [])[-limit:]


def _endpoints(definition: Mapping[str, Any]) -> tuple[str, ...]:
    connect = definition.get("serviceConnectConfiguration") or {}
    return tuple(one["discoveryName"] for one in connect.get("services", ()))


@dataclass
class FakeTargets:
    """Target health by ARN."""

    by_arn: dict[str, list[TargetHealth]] = field(default_factory=dict)

    def health(self, arn: str) -> Sequence[TargetHealth]:
        """Targets of a group."""
        return self.by_arn.get(arn, [])

    def set_healthy(self, arn: str, count: int) -> None:
        """Let a group have so many healthy targets and no others."""
        self.by_arn[arn] = [TargetHealth(f"10.0.0.{n}", "healthy") for n in range(count)]
