"""Protection of tasks against scale-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.services.ports import BrokerTasks


def unprotect_all(tasks: BrokerTasks, cluster: Mapping[str, str]) -> int:
    """Unprotect every task of the brokers' service, whoever protected it; tells how many were.

    A protected task would block later deployments. While ECS still has tasks to stop, protection
    stays: it ends by itself after 15 minutes.
    """
    service = tasks.observe(cluster["EcsClusterName"], cluster["OrchestrationServiceName"])
    if sum(task.wanted for task in service.tasks) > service.desired:
        return 0
    ids = [task.task_id for task in service.protected]
    tasks.unprotect(cluster["EcsClusterName"], ids)
    return len(ids)
