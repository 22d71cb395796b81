"""Set the desired count of the brokers' service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import StabilizationTimeout
from lifecycle.preflight.backup_gate import refuse_outdated
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.services.brokers import BrokerService
    from lifecycle.services.ports import BrokerTasks


# The task of a renewed protection must still have most of its time when the count is lowered.
_LEAST_PROTECTION: Final = 60


@dataclass(frozen=True, slots=True)
class CountSetter:
    """Set the desired count of the brokers' service."""

    tasks: BrokerTasks
    journal: Journal

    def set_count(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        *,
        count: int,
        protected: Sequence[str],
        until: str = "",
    ) -> dict[str, Any]:
        """Set the count, with the minimum healthy percent that belongs to it.

        A count is lowered only while exactly ``protected`` (task ids), as many as the count, are
        protected: else ECS might stop a broker that holds partitions. Raises
        ``StabilizationTimeout`` then, and ``BackupOutdated`` where the count begins a move of data
        after ``until`` (ISO 8601, empty for at any time).
        """
        self.journal.step(
            operation,
            "Tasks stop" if protected else "Tasks start",
            f"setting the desired count to {count}",
        )
        service = self._observe(cluster)
        if service.desired == count:
            return {"count": count}
        refuse_outdated(
            until, self.journal.clock.now(), f"the count is {service.desired} as before"
        )
        if count < service.desired:
            now = epoch(self.journal.clock.now())
            refuse_to_lower(service, count, protected, now)
        self.tasks.set_count(cluster.ecs_cluster, service.name, count)
        return {"count": count}

    def _observe(self, cluster: ClusterOutputs) -> BrokerService:
        return self.tasks.observe(
            cluster.ecs_cluster,
            cluster.orchestration_service,
        )


def refuse_to_lower(service: BrokerService, count: int, protected: Sequence[str], now: int) -> None:
    """Raise ``StabilizationTimeout`` unless exactly these tasks, as many as the count, are safe."""
    safe = {
        task.task_id for task in service.running if task.protected_until >= now + _LEAST_PROTECTION
    }
    if len(set(protected)) != count or safe != set(protected):
        raise StabilizationTimeout(
            f"The count of {service.name} was not lowered from {service.desired} to {count}: "
            f"{len(safe & set(protected))} of {count} remaining tasks are protected, and "
            f"{len(safe - set(protected))} others.",
            next_step="Start the same request again; it resumes where it stopped.",
        )
