"""Freeze a cluster and lift the freeze: an operation of its own, with a right of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.find import find_stack
from lifecycle.cluster.freeze import Freeze, frozen_because, read_reason, refuse_freeze
from lifecycle.cluster.names import stack_name
from lifecycle.cluster.stack import ecs_cluster_of
from lifecycle.observability import logger
from lifecycle.times import epoch, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.cluster.ports import Clock, ClusterStacks
    from lifecycle.cluster.stack import Stack
    from lifecycle.operation.ports import Freezes, Locks


@dataclass(frozen=True, slots=True)
class Freezer:
    """The use case and its ports."""

    stacks: ClusterStacks
    freezes: Freezes
    locks: Locks
    clock: Clock
    control_stack: str

    def freeze(self, raw: Mapping[str, object], caller: str) -> dict[str, Any]:
        """Freeze a cluster for a reason; the same request again changes nothing.

        Returns what is true now: ``frozen`` is the reason, ``operationId`` an operation that began
        before and goes on. Raises ``InvalidRequest``, ``ClusterNotFound``, and ``ClusterFrozen``
        where the cluster is frozen for another reason.
        """
        reason = read_reason(raw)
        stack = self._find(raw)
        ecs_cluster = ecs_cluster_of(stack)
        wanted = Freeze(reason, written(self.clock.now()), caller)
        found = self.freezes.freeze(ecs_cluster, wanted)
        if found.reason != reason:
            refuse_freeze(ecs_cluster, found)
        logger.info("Cluster frozen", extra={"stack": stack.name, "caller": found.by})
        return self._state(stack, found)

    def thaw(self, cluster: str, caller: str) -> dict[str, Any]:
        """Lift the freeze; one that is not there is no error. A tag on the stack stays.

        A freeze outlives its stack, and is lifted without it, too: else it would keep a new cluster
        of that name from being provisioned.
        Returns as ``freeze`` does: ``frozen`` is the tag's reason where a tag freezes, too.
        Raises ``ClusterNotFound`` where there is neither.
        """
        name = stack_name(self.control_stack, cluster)
        if self.stacks.describe(name) is None and self.freezes.frozen(name) is not None:
            self.freezes.thaw(name)
            logger.info("Freeze lifted", extra={"stack": name, "caller": caller})
            return {"frozen": None, "freeze": None, "operationId": None}
        stack = self._find({"clusterName": cluster})
        self.freezes.thaw(ecs_cluster_of(stack))
        logger.info("Freeze lifted", extra={"stack": stack.name, "caller": caller})
        return self._state(stack, None)

    def _find(self, raw: Mapping[str, object]) -> Stack:
        return find_stack(self.stacks, self.control_stack, str(raw["clusterName"]))

    def _state(self, stack: Stack, freeze: Freeze | None) -> dict[str, Any]:
        lock = self.locks.held(ecs_cluster_of(stack))
        runs = lock is not None and lock.expires_at > epoch(self.clock.now())
        return {
            "frozen": frozen_because(stack.tags, freeze),
            "freeze": freeze.document() if freeze is not None else None,
            "operationId": lock.operation_id if lock is not None and runs else None,
        }
