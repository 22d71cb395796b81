"""Ports of this room: ECS services, their tasks, targets and images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cluster.access import ExecTask
    from lifecycle.cluster.checks import TargetHealth
    from lifecycle.services.autoscaling import ScalableTarget
    from lifecycle.services.brokers import BrokerService
    from lifecycle.services.image_digests import Digest, PrivateImage, Running
    from lifecycle.services.startup import LivingTask, Service
    from lifecycle.services.stops import StoppedTask


class Registry(Protocol):
    """Private repositories of this account in this region."""

    def digest(self, image: PrivateImage) -> Digest:
        """Digest of an image; of one that is not there or may not be read, the reason."""
        ...


class TaskSecrets(Protocol):
    """Secrets that tasks of a revision get."""

    def references(self, revision: str) -> frozenset[str]:
        """Return the ``valueFrom`` of each secret in a revision's containers, by its ARN."""
        ...


class Services(Protocol):
    """ECS services of one ECS cluster."""

    def describe(self, ecs_cluster: str, names: Sequence[str]) -> Sequence[Service]:
        """Describe services, in the order of ``names``; one that does not exist is ``MISSING``."""
        ...

    def running_images(self, service: Service, container: str) -> Sequence[Running]:
        """Images that a container of a service runs; of one that ECS does not show, the reason.

        Nothing for a container beside the service's own that no revision has.
        """
        ...

    def create(self, definition: Mapping[str, Any]) -> None:
        """Create a service; one that is there already is left as it is.

        Raises ``ServiceDraining`` while one of that name is being deleted.
        """
        ...

    def update(
        self, ecs_cluster: str, name: str, properties: Mapping[str, Any], *, redeploy: bool = False
    ) -> None:
        """Set these properties in one call; with ``redeploy`` begin a deployment in any case."""
        ...

    def tag(self, ecs_cluster: str, name: str, tags: Mapping[str, str]) -> None:
        """Set exactly these tags on a service, beside those that AWS sets itself."""
        ...

    def delete(self, ecs_cluster: str, name: str) -> None:
        """Delete a service that runs no task; never by force."""
        ...

    def set_count(self, ecs_cluster: str, name: str, count: int) -> None:
        """Set the desired count without a new deployment."""
        ...

    def stopped_tasks(self, ecs_cluster: str, name: str, since: str) -> Sequence[StoppedTask]:
        """Tasks of a service that stopped after ``since`` (ISO 8601, UTC). ECS keeps them ~1 h."""
        ...

    def living_tasks(self, ecs_cluster: str, name: str) -> Sequence[LivingTask]:
        """Tasks of a service whose containers may run, with those that ECS stops right now."""
        ...

    def exec_tasks(self, ecs_cluster: str, name: str) -> Sequence[ExecTask]:
        """Running tasks of a service, with what ECS Exec needs of its own container."""
        ...

    def last_log_lines(self, log_group: str, task_id: str, limit: int) -> Sequence[str]:
        """Last lines that a task logged; empty when there are none or they cannot be read."""
        ...


class BrokerTasks(Protocol):
    """The ECS service of one cluster's brokers, task by task."""

    def observe(self, ecs_cluster: str, service: str, *, since: str = "") -> BrokerService:
        """Service and tasks with addresses and protection.

        With ``since`` (ISO 8601, UTC) also why tasks failed to start from then on. Raises
        ``ServiceMissing``.
        """
        ...

    def set_count(self, ecs_cluster: str, service: str, count: int) -> None:
        """Set the count and the deployment configuration that fits it, without a deployment."""
        ...

    def protect(self, ecs_cluster: str, task_ids: Sequence[str], *, minutes: int) -> None:
        """Protect tasks from scale-in, for so long from now.

        Raises ``StabilizationTimeout`` naming the tasks that ECS did not protect.
        """
        ...

    def unprotect(self, ecs_cluster: str, task_ids: Sequence[str]) -> None:
        """Take protection away; a task that is gone needs none."""
        ...

    def stop(self, ecs_cluster: str, task_id: str, reason: str) -> None:
        """Stop one task, which ECS replaces; ``reason`` stays with the stopped task."""
        ...


class ScalableTargets(Protocol):
    """What may change the counts of ECS services besides the machines."""

    def of_services(self, ecs_cluster: str, services: Sequence[str]) -> Sequence[ScalableTarget]:
        """Targets of Application Auto Scaling that are these services. Raises AWS's errors."""
        ...


class TargetGroups(Protocol):
    """Health of load-balancer targets."""

    def health(self, arn: str) -> Sequence[TargetHealth]:
        """Return the targets of a group with the state that the load balancer reports."""
        ...
