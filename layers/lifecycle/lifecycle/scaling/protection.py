"""Protect the tasks that hold partitions against scale-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.services.brokers import PROTECTION_MINUTES
from lifecycle.services.protection import unprotect_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.services.ports import BrokerTasks


@dataclass(frozen=True, slots=True)
class TaskProtector:
    """Protect the tasks that stay from ECS's scale-in, and take that away again."""

    tasks: BrokerTasks
    journal: Journal

    def protect(
        self, operation: Operation, cluster: ClusterOutputs, *, task_ids: Sequence[str]
    ) -> dict[str, Any]:
        """Protect tasks for 15 minutes from now. Raises ``StabilizationTimeout``."""
        self.journal.step(operation, "Tasks stop", f"protecting {len(task_ids)} tasks")
        self.tasks.protect(cluster.ecs_cluster, task_ids, minutes=PROTECTION_MINUTES)
        return {"protected": len(task_ids)}

    def unprotect(
        self, operation: Operation, cluster: ClusterOutputs, *, task_ids: Sequence[str]
    ) -> dict[str, Any]:
        """Take the protection of tasks away."""
        self.journal.step(operation, "Tasks stop", f"unprotecting {len(task_ids)} tasks")
        self.tasks.unprotect(cluster.ecs_cluster, task_ids)
        return {"unprotected": len(task_ids)}

    def unprotect_all(self, operation: Operation, cluster: ClusterOutputs) -> dict[str, Any]:
        """Leave no protection behind; ``cluster`` is empty when it never came to be known."""
        if "EcsClusterName" not in cluster:
            return {"unprotected": 0}
        self.journal.step(operation, "Tasks stop", "leaving no task protected")
        return {"unprotected": unprotect_all(self.tasks, cluster)}
