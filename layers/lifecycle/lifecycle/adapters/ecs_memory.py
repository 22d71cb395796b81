"""In-memory twin of ECS services and of load-balancer target health."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.core.services import Deployment, Service, StoppedTask
from lifecycle.core.verification import TargetHealth
from lifecycle.errors import ServiceMissing

if TYPE_CHECKING:
    from lifecycle.adapters.ecs_tasks_memory import MemoryBrokerTasks


@dataclass
class MemoryServices:
    """Services by name; what a task logged and how it stopped is set by the test.

    ``newest`` is the number of the newest revision by service, 1 where nothing is said. Where
    ``tasks`` are given, they are the brokers' service.
    """

    services: dict[str, Service] = field(default_factory=dict)
    minimum_healthy: dict[str, int] = field(default_factory=dict)
    families: dict[str, str] = field(default_factory=dict)
    stopped: dict[str, list[StoppedTask]] = field(default_factory=dict)
    logs: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    tasks: MemoryBrokerTasks | None = None

    def add(self, name: str, *, desired: int = 0, running: int | None = None) -> None:
        """Add a service without a deployment in progress."""
        self.services[name] = Service(
            name=name,
            status="ACTIVE",
            desired=desired,
            running=desired if running is None else running,
            pending=0,
            deployments=(Deployment("d-1", "PRIMARY", "COMPLETED", "", 0),),
            revision=self.newest_revision(name),
        )

    def newest_revision(self, family: str) -> str:
        """ARN of the newest revision of a family, whose name ends with the service's."""
        name = next((one for one in self.services if family.endswith(one)), family)
        return f"arn:{name}:{self.newest.get(name, 1)}"

    def move(
        self,
        ecs_cluster: str,
        name: str,
        *,
        revision: str,
        minimum_healthy: int | None,
        force: bool,
    ) -> None:
        """Begin a deployment, if there is anything to deploy."""
        del ecs_cluster
        if minimum_healthy is not None:
            self.minimum_healthy[name] = minimum_healthy
        if self.tasks is not None and name == self.tasks.name:
            self.tasks.deploy(revision, minimum_healthy=minimum_healthy, force=force)
        service = self.services[name]
        if not force and service.revision == revision:
            return
        self.services[name] = replace(
            service,
            revision=revision,
            deployments=(Deployment("d-3", "PRIMARY", "IN_PROGRESS", "", 0),),
        )

    def describe(self, ecs_cluster: str, names: Sequence[str]) -> Sequence[Service]:
        """Describe services."""
        missing = [name for name in names if name not in self.services]
        if missing:
            raise ServiceMissing(f"ECS cluster {ecs_cluster} has no service {', '.join(missing)}.")
        return [self.services[name] for name in names]

    def start(
        self, ecs_cluster: str, name: str, *, family: str, count: int, minimum_healthy: int
    ) -> None:
        """Start a service with a new deployment."""
        del ecs_cluster
        self.families[name] = family
        self.minimum_healthy[name] = minimum_healthy
        self.services[name] = replace(
            self.services[name],
            desired=count,
            pending=count,
            deployments=(Deployment("d-2", "PRIMARY", "IN_PROGRESS", "", 0),),
            revision=self.newest_revision(family),
        )

    def set_count(self, ecs_cluster: str, name: str, count: int) -> None:
        """Set the desired count."""
        del ecs_cluster
        running = min(self.services[name].running, count)
        self.services[name] = replace(self.services[name], desired=count, running=running)

    def settle(self, name: str) -> None:
        """Let every desired task run."""
        service = self.services[name]
        self.services[name] = replace(
            service,
            running=service.desired,
            pending=0,
            deployments=(Deployment("d-2", "PRIMARY", "COMPLETED", "", 0),),
        )

    def stopped_tasks(self, ecs_cluster: str, name: str, since: str) -> Sequence[StoppedTask]:
        """Tasks that stopped."""
        del ecs_cluster
        return [task for task in self.stopped.get(name, []) if task.stopped_at >= since]

    def last_log_lines(self, log_group: str, task_id: str, limit: int) -> Sequence[str]:
        """Last lines of a task."""
        return self.logs.get((log_group, task_id), [])[-limit:]


@dataclass
class MemoryTargets:
    """Target health by ARN."""

    by_arn: dict[str, list[TargetHealth]] = field(default_factory=dict)

    def health(self, arn: str) -> Sequence[TargetHealth]:
        """Targets of a group."""
        return self.by_arn.get(arn, [])

    def set_healthy(self, arn: str, count: int) -> None:
        """Let a group have so many healthy targets and no others."""
        self.by_arn[arn] = [TargetHealth(f"10.0.0.{n}", 8080, "healthy") for n in range(count)]
