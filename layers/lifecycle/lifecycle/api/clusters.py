"""Report on clusters: configuration, services and brokers side by side.

What cannot be reached is named beside what can; one silent part never hides the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.find import find_stack
from lifecycle.cluster.freeze import frozen_because
from lifecycle.cluster.names import TAG_CLUSTER
from lifecycle.cluster.stack import ecs_cluster_of
from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.freeze import Freeze
    from lifecycle.cluster.ports import ClusterStacks
    from lifecycle.cluster.slots import Limiter
    from lifecycle.cluster.stack import Stack
    from lifecycle.operation.ports import Freezes
    from lifecycle.operation.read import OperationReader
    from lifecycle.services.ports import Services

# A query invokes the probe, which is given 15 seconds: callers that only may read use no more of
# the account's concurrent executions than twice this.
BROKER_READS: Final = 8


@dataclass(frozen=True, slots=True)
class ClusterReader:
    """The use case and its ports.

    ``limiter``: how many of its calls query brokers at once. ``translate`` makes one of our errors
    of one that an AWS client raised, None of any other.
    """

    stacks: ClusterStacks
    services: Services
    probe: Probe
    limiter: Limiter
    operations: OperationReader
    freezes: Freezes
    control_stack: str
    translate: Callable[[Exception], LifecycleError | None]

    def all(self) -> list[dict[str, Any]]:
        """List the clusters by what CloudFormation knows of them."""
        stacks = self.stacks.of_control_plane(self.control_stack)
        return [_head(stack, self.freezes.frozen(ecs_cluster_of(stack))) for stack in stacks]

    def find(self, cluster: str) -> Stack:
        """Find a cluster's stack. Raises ``ClusterNotFound``."""
        return find_stack(self.stacks, self.control_stack, cluster)

    def read(self, cluster: str) -> dict[str, Any]:
        """Report on one cluster. Raises ``ClusterNotFound``."""
        stack = self.find(cluster)
        outputs = stack.outputs
        silent: list[dict[str, str]] = []
        counts: dict[str, Any] = {}
        seen: Mapping[str, Any] = {}
        if outputs.complete:
            counts = self._queried("services", silent, lambda: self._counts(outputs)) or {}
            seen = self._queried("brokers", silent, lambda: self._seen(outputs)) or {}
            silent += [{"part": "brokers", "reason": text} for text in seen.get("problems", ())]
        else:
            silent.append({"part": "stack", "reason": "the stack has no outputs yet"})
        freeze = self.freezes.frozen(ecs_cluster_of(stack))
        last = self._queried("operations", silent, lambda: self.operations.latest(cluster))
        members, topology = seen.get("members"), seen.get("topology")
        return {
            **_head(stack, freeze),
            "freeze": freeze.document() if freeze is not None else None,
            "statusReason": stack.reason or None,
            "brokers": {
                **counts.get("brokers", {"declared": None, "running": None}),
                "joined": _joined(members, topology),
            },
            "connectors": counts.get("connectors", {"declared": None, "running": None}),
            "members": members,
            "topology": topology,
            "pendingChange": seen.get("pendingChange"),
            "lastOperation": last,
            "unreachable": silent,
        }

    def _seen(self, outputs: ClusterOutputs) -> Mapping[str, Any]:
        with self.limiter.slot() as free:
            if not free:
                reason = f"{self.limiter.most} requests query brokers now; repeat it later"
                return {"problems": [reason]}
            return self.probe.query("overview", outputs)

    def _counts(self, outputs: ClusterOutputs) -> dict[str, Any]:
        found = self.services.describe(outputs.ecs_cluster, outputs.service_names)
        return {
            kind: {"declared": service.desired, "running": service.running}
            for kind, service in zip(("brokers", "connectors"), found, strict=False)
        }

    def _queried[T](
        self, part: str, silent: list[dict[str, str]], query: Callable[[], T]
    ) -> T | None:
        try:
            return query()
        except Exception as error:
            known = error if isinstance(error, LifecycleError) else self.translate(error)
            if known is None:
                raise
            silent.append({"part": part, "reason": known.message})
            return None


def _joined(
    members: list[Mapping[str, Any]] | None, topology: list[Mapping[str, Any]] | None
) -> int | None:
    """Count the active members that are seen; the configuration calls a dead one ACTIVE for ever.

    None where members or topology are not known.
    """
    if members is None or topology is None:
        return None
    alive = {one["broker"] for one in topology}
    return sum(1 for one in members if one["state"] == "ACTIVE" and one["broker"] in alive)


def _head(stack: Stack, freeze: Freeze | None) -> dict[str, Any]:
    return {
        "name": stack.tags.get(TAG_CLUSTER) or stack.outputs.get("ClusterName"),
        "stack": stack.name,
        "status": stack.status,
        "frozen": frozen_because(stack.tags, freeze),
        "restUrl": stack.outputs.get("RestUrl"),
        "grpcEndpoint": stack.outputs.get("GrpcEndpoint"),
    }
