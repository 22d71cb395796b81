"""Ports of this room: sources of a health check, and where its result goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.freeze import Freeze
    from lifecycle.health.verdict import Record as HealthRecord
    from lifecycle.operation.model import Lock
    from lifecycle.operation.record import Execution
    from lifecycle.operation.rehearsal_note import RehearsalNote
    from lifecycle.operation.scaling_note import ScalingNote


class Leases(Protocol):
    """Leases of the broker ids, read from inside the VPC."""

    def read(self, bucket: str, nodes: Sequence[int]) -> Mapping[str, Any]:
        """Return ``used`` and ``leases`` (node, task, until in milliseconds) of some node ids."""
        ...


class HealthSources(Protocol):
    """States of a cluster's parts in AWS, as JSON; see ``health/facts.py`` for the shapes."""

    def services(self, ecs_cluster: str, brokers: str, connectors: str) -> Mapping[str, Any]:
        """Return both ECS services."""
        ...

    def tasks(self, ecs_cluster: str, service: str) -> Sequence[Mapping[str, Any]]:
        """Return the tasks that start or run, with addresses."""
        ...

    def protected(
        self, ecs_cluster: str, brokers: str, connectors: str
    ) -> Sequence[Mapping[str, Any]]:
        """Return the tasks of both services with scale-in protection, and when it expires."""
        ...

    def stops(self, ecs_cluster: str, brokers: str, connectors: str) -> Sequence[Mapping[str, Any]]:
        """Return the tasks that stopped on their own or failed within the last hour."""
        ...

    def autoscaling(
        self, ecs_cluster: str, brokers: str, connectors: str
    ) -> Sequence[Mapping[str, Any]]:
        """Return the active scalable targets, which change desired counts automatically."""
        ...

    def targets(self, target_group: str) -> Sequence[Mapping[str, Any]]:
        """Return the targets of a group and their health as the load balancer reports it."""
        ...

    def database(self, cluster: str) -> Mapping[str, Any]:
        """Return the status of an Aurora cluster, and to which moments it can be restored."""
        ...

    def former(self, cluster: str, present: str) -> Sequence[Mapping[str, Any]]:
        """Return the databases with a cluster's tags beside the present one (its id)."""
        ...

    def mounts(self, file_system: str) -> Sequence[Mapping[str, Any]]:
        """Return the mount targets of an EFS file system."""
        ...

    def secrets(self, arns: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        """Return whether secrets are there, and since when they have their values (none is read).

        By the names of their outputs.
        """
        ...

    def management(self, cluster: ClusterOutputs) -> Mapping[str, Any]:
        """Return what is open to the management API, until when and for which ranges."""
        ...

    def certificate(self, arn: str) -> Mapping[str, Any]:
        """Return the status and expiry time of a certificate."""
        ...


class HealthRecords(Protocol):
    """The last health check of each cluster."""

    def find(self, cluster: str) -> HealthRecord | None:
        """Read the last check; None when there is none."""
        ...

    def write(self, record: HealthRecord, before: HealthRecord | None) -> bool:
        """Write a check if the last one is still ``before`` and older; return whether it was."""
        ...

    def delivered(self, cluster: str, decided_at: datetime) -> None:
        """Record that the notification decided then was delivered; no-op for any other one."""
        ...

    def frozen(self, ecs_cluster: str) -> Freeze | None:
        """Return the freeze of an ECS cluster; None for one that is not frozen."""
        ...

    def holder(self, ecs_cluster: str) -> Lock | None:
        """Return the lock of an ECS cluster; None for one that is not locked."""
        ...

    def rehearsal(self, cluster: str) -> RehearsalNote | None:
        """Return what the last rehearsal of a cluster of that name left."""
        ...

    def scaling(self, cluster: str) -> ScalingNote | None:
        """Return the note of the last scaling of the cluster; None once it has expired."""
        ...


class Metrics(Protocol):
    """Metrics of clusters; their dimensions are the control stack and the stack of the cluster."""

    def emit(
        self, cluster_stack: str, values: Mapping[str, float], findings: Sequence[str]
    ) -> None:
        """Measure values of one cluster, now; ``findings`` are the codes that explain them."""
        ...


class Checks(Protocol):
    """Executions that are waited for."""

    def run(self, machine_arn: str, text: str) -> Execution:
        """Run an EXPRESS machine with a JSON text as its input, to its end."""
        ...
