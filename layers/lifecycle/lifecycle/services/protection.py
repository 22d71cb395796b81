"""Protection of tasks against scale-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.services.ports import BrokerTasks


def unprotect_all(tasks: BrokerTasks, cluster: ClusterOutputs) -> int:
    """Unprotect every task of the brokers' service, whatever protected it; returns how many were.

    A protected task would block later deployments. While ECS still has tasks to stop, protection
    stays: it ends by itself after 15 minutes.
    """
    service = tasks.observe(cluster.ecs_cluster, cluster.orchestration_service)
    if sum(task.wanted for task in service.tasks) > service.desired:
        return 0
    ids = [task.task_id for task in service.protected]
    tasks.unprotect(cluster.ecs_cluster, ids)
    return len(ids)
