"""How many partitions a cluster has now: what a plan and provisioning give new revisions.

Camunda keeps the number itself once it is bootstrapped. ``CAMUNDA_CLUSTER_PARTITIONCOUNT`` of its
tasks is still read: by RocksDB's share of memory, and by a restore, which needs that of the backup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.find import find_stack
from lifecycle.cluster.names import is_cluster_name
from lifecycle.errors import ClusterNotFound, LifecycleError, ProbeAsleep
from lifecycle.services.brokers import active_partitions, incomplete_change

if TYPE_CHECKING:
    from lifecycle.camunda.ports import ManagementApi, Probe
    from lifecycle.cluster.ports import Stacks


def query_partitions(api: ManagementApi) -> dict[str, Any]:
    """Answer the question ``partitions`` inside the VPC: ``partitions``, null where not known.

    A number that is being changed is not known either. ``brokers`` are the members, null where a
    change left something half-done.
    """
    try:
        configuration = api.configuration()
    except LifecycleError:
        return {"partitions": None, "brokers": None}
    settled = configuration.routing is None or configuration.routing.settled
    known = settled and configuration.pending_change is None
    whole = configuration.pending_change is None and not incomplete_change(configuration)
    return {
        "partitions": active_partitions(configuration) if known else None,
        "brokers": len(configuration.members) if whole else None,
    }


@dataclass(frozen=True, slots=True)
class LivePartitions:
    """What a living cluster has. ``unread`` is the reason if that is unknown, else empty."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    unread: str = ""

    def into(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return a request with these parameters; preflight reports what was not read."""
        unread = {"partitionsUnread": self.unread} if self.unread else {}
        return {**request, **unread, "parameters": {**request["parameters"], **self.parameters}}


def live_partitions(
    raw: object, *, control_stack: str, stacks: Stacks, probe: Callable[[], Probe]
) -> LivePartitions:
    """Return the parameter ``Partitions`` as it is live, when there are more than the stack states.

    Nothing for a cluster that does not exist or is adopted, and for an input that is a reviewed
    plan or no provisioning. Where no broker reports it, the parameter keeps its value until the
    next operation: an update may be what makes brokers answer again.
    Raises as ``find_stack`` does but for a cluster that does not exist, and ``ProbeAsleep``: a
    function that is being woken knows in a minute.
    """
    if not isinstance(raw, Mapping) or not is_cluster_name(raw.get("clusterName")):
        return LivePartitions()
    if "changeSet" in raw or "scale" in raw:
        return LivePartitions()
    try:
        stack = find_stack(stacks, control_stack, raw["clusterName"])
    except ClusterNotFound:
        return LivePartitions()
    if not stack.outputs.complete or stack.outputs.adopted:
        return LivePartitions()
    try:
        live = probe().query("partitions", stack.outputs)["partitions"]
    except ProbeAsleep:
        raise
    except LifecycleError as error:
        return LivePartitions(unread=error.message)
    if live is None:
        return LivePartitions(unread="no broker reports it, or it is being changed")
    if live <= stack.outputs.partitions:
        return LivePartitions()
    return LivePartitions({"Partitions": str(live)})
