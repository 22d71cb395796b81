"""How many partitions a cluster has now: what a plan and provisioning give new revisions.

Camunda keeps the number itself once it is bootstrapped. ``CAMUNDA_CLUSTER_PARTITIONCOUNT`` of its
tasks is still read: by RocksDB's share of memory, and by a restore, which needs that of the backup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.core.brokers import active_partitions, half_done
from lifecycle.core.names import is_cluster_name, stack_name
from lifecycle.errors import LifecycleError, ProbeAsleep

if TYPE_CHECKING:
    from lifecycle.ports import ManagementApi, Probe, Stacks


def ask_partitions(api: ManagementApi) -> dict[str, Any]:
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
    whole = configuration.pending_change is None and not half_done(configuration)
    return {
        "partitions": active_partitions(configuration) if known else None,
        "brokers": len(configuration.members) if whole else None,
    }


def added_partitions(
    raw: object, *, control_stack: str, stacks: Stacks, probe: Callable[[], Probe]
) -> dict[str, str]:
    """Give the parameter ``Partitions`` as it is live, when there are more than the stack says.

    Empty for a cluster that does not exist or is adopted, for an input that is a reviewed plan or
    no provisioning, and where no broker answers: the parameter then stays until the next time.
    Raises ``ProbeAsleep``: a function that is being woken knows in a minute.
    """
    if not isinstance(raw, Mapping) or not is_cluster_name(raw.get("clusterName")):
        return {}
    if "changeSet" in raw or "scale" in raw:
        return {}
    stack = stacks.describe(stack_name(control_stack, raw["clusterName"]))
    if stack is None or "ContractVersion" not in stack.outputs or "Adopted" in stack.outputs:
        return {}
    try:
        live = probe().ask("partitions", stack.outputs)["partitions"]
    except ProbeAsleep:
        raise
    except LifecycleError:
        return {}
    if live is None or live <= int(stack.outputs["Partitions"]):
        return {}
    return {"Partitions": str(live)}
