"""Report on clusters: configuration, services and brokers side by side.

What cannot be reached is named beside what can; one silent part never hides the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.api.etag import entity_tag
from lifecycle.cluster.access import access, wants_tasks
from lifecycle.cluster.find import find_stack
from lifecycle.cluster.freeze import frozen_because
from lifecycle.cluster.names import TAG_CLUSTER
from lifecycle.cluster.prices import Size, monthly_cost
from lifecycle.cluster.stack import ecs_cluster_of
from lifecycle.errors import ClusterNotFound, LifecycleError
from lifecycle.health.verdict import NOT_COUNTED, stamp
from lifecycle.services.images import BROKERS, PARAMETER, shown, versions
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.access import ExecTask
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.freeze import Freeze
    from lifecycle.cluster.ports import Clock, ClusterStacks
    from lifecycle.cluster.slots import Limiter
    from lifecycle.cluster.stack import Stack
    from lifecycle.health.ports import HealthRecords
    from lifecycle.health.verdict import Counts
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
    health: HealthRecords
    clock: Clock
    region: str
    control_stack: str
    translate: Callable[[Exception], LifecycleError | None]

    def page(self, limit: int, after: str) -> tuple[list[dict[str, Any]], str]:
        """List clusters by the names of their stacks, after one of these (empty: from the first).

        From CloudFormation and the table; no broker is queried. Returns the lines and the stack
        after which the list goes on, empty at its end.
        """
        stacks = sorted(
            (s for s in self.stacks.of_control_plane(self.control_stack) if s.name > after),
            key=lambda one: one.name,
        )
        shown = stacks[:limit]
        more = shown[-1].name if len(stacks) > limit else ""
        return [self._line(stack) for stack in shown], more

    def _line(self, stack: Stack) -> dict[str, Any]:
        name = ecs_cluster_of(stack)
        head = _head(stack, self.freezes.frozen(name))
        check = self.health.find(str(head["name"]))
        counts = check.counts if check is not None else NOT_COUNTED
        lock = self.health.holder(name)
        runs = lock is not None and lock.expires_at > epoch(self.clock.now())
        return {
            **head,
            "verdict": str(check.verdict) if check is not None else None,
            "checkedAt": stamp(check.checked_at) if check is not None else None,
            "brokers": {"declared": counts.brokers, "joined": counts.joined},
            "version": _version(stack),
            "operation": (
                {"operationId": lock.operation_id, "execution": lock.owner}
                if lock is not None and runs and lock.is_of_execution
                else None
            ),
            "monthlyCost": self._cost(stack, counts),
        }

    def _cost(self, stack: Stack, counts: Counts) -> str | None:
        """Fixed cost per month with the counts of the last check; None where one is not known."""
        if counts.brokers is None or counts.connectors is None:
            return None
        try:
            size = Size.of(stack.parameters, brokers=counts.brokers, connectors=counts.connectors)
        except (KeyError, ValueError):  # an adopted cluster has no sizes
            return None
        total = monthly_cost(size, self.region).total
        return None if total is None else f"{total:.2f}"

    def find(self, cluster: str) -> Stack:
        """Find a cluster's stack. Raises ``ClusterNotFound``."""
        return find_stack(self.stacks, self.control_stack, cluster)

    def parts(self, cluster: str) -> dict[str, object] | None:
        """Return what a cluster's entity tag covers; None where there is no cluster.

        Raises where a part of it cannot be read.
        """
        try:
            stack = self.find(cluster)
        except ClusterNotFound:
            return None
        counts = self._counts(stack.outputs) if stack.outputs.complete else {}
        return self._parts(stack, counts, self.freezes.frozen(ecs_cluster_of(stack)))

    def _parts(
        self, stack: Stack, counts: Mapping[str, Any], freeze: Freeze | None
    ) -> dict[str, object]:
        last = self.operations.latest(str(stack.tags.get(TAG_CLUSTER)))
        return {
            "stack": {"status": stack.status, "changedAt": stack.changed_at},
            "counts": {kind: one["declared"] for kind, one in counts.items()},
            "frozen": frozen_because(stack.tags, freeze),
            "lastOperation": (
                last["operationId"] if last is not None and last["kind"] != "plan" else None
            ),
        }

    def tag(self, cluster: str) -> str | None:
        """Return the entity tag of a cluster; None where a part of it cannot be read."""
        silent: list[dict[str, str]] = []
        parts = self._queried("tag", silent, lambda: self.parts(cluster))
        return None if parts is None else entity_tag(parts)

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
        tasks = None
        if outputs.complete and wants_tasks(stack):
            tasks = self._queried("tasks", silent, lambda: self._tasks(outputs))
        unread = next((one["reason"] for one in silent if one["part"] == "tasks"), "")
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
            "access": access(stack, tasks, unread=unread),
            "unreachable": silent,
        }

    def _seen(self, outputs: ClusterOutputs) -> Mapping[str, Any]:
        with self.limiter.slot() as free:
            if not free:
                reason = f"{self.limiter.most} requests query brokers now; repeat it later"
                return {"problems": [reason]}
            return self.probe.query("overview", outputs)

    def _tasks(self, outputs: ClusterOutputs) -> Sequence[ExecTask]:
        return self.services.exec_tasks(outputs.ecs_cluster, outputs.orchestration_service)

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


def _version(stack: Stack) -> str | None:
    """Version of the brokers by the stack's outputs; None where neither shows it."""
    given = {name: stack.outputs.get(name, "") for name in (BROKERS, PARAMETER)}
    found = versions(given).brokers
    return None if found is None else shown(found)
