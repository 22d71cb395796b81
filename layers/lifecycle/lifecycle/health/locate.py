"""Find the cluster of a check: its stack and the outputs that identify it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.find import find_stack
from lifecycle.cluster.freeze import frozen_because
from lifecycle.cluster.names import TAG_CLUSTER
from lifecycle.health.verdict import read_moment, read_request, stamp

if TYPE_CHECKING:
    from lifecycle.cluster.ports import ClusterStacks


@dataclass(frozen=True, slots=True)
class ClusterLocator:
    """Finds clusters of this control plane by their stacks."""

    stacks: ClusterStacks
    control_stack: str

    def locate(self, given: object, began: str) -> dict[str, Any]:
        """Return ``cluster``, ``at`` (when the check was due), ``began``, ``outputs``, ``stack``.

        ``began`` is when the execution started, ``scheduled`` whether a schedule started it.
        Raises ``InvalidRequest``, ``ClusterNotFound`` and ``StackNotUsable``.
        """
        request = read_request(given)
        started = read_moment(began)
        stack = find_stack(self.stacks, self.control_stack, request.cluster)
        return {
            "cluster": request.cluster,
            "at": stamp(request.scheduled_at or started),
            "scheduled": request.scheduled_at is not None,
            "began": stamp(started),
            "outputs": dict(stack.outputs),
            "stack": {
                "status": stack.status,
                "reason": stack.reason or "",
                "frozen": frozen_because(stack.tags) or "",
            },
        }

    def all(self) -> list[str]:
        """Return the names of all clusters of this control plane."""
        stacks = self.stacks.of_control_plane(self.control_stack)
        return [stack.tags[TAG_CLUSTER] for stack in stacks]
