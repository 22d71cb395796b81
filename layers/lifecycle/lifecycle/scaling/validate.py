"""Check a scale request before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cluster.find import find_cluster
from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.preflight.backup_gate import wanted
from lifecycle.scaling.request import read_scale_request, refuse_below

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Stacks


def validate_scaling(raw: object, *, control_stack: str, stacks: Stacks) -> dict[str, Any]:
    """Validate ``{"clusterName": "demo", "count": 4}``; give it as the state machine carries it.

    Or ``{"clusterName": "demo", "partitions": 6}``: the other number is 0 then. ``backup`` is what
    the machine requests of ``TakeBackup`` before anything moves.
    Raises ``InvalidRequest`` that names every wrong field or a count below the replication factor,
    ``ClusterNotFound``, ``ClusterFrozen``, ``StackNotUsable``.
    """
    request = read_scale_request(raw)
    stack = find_cluster(stacks, control_stack, request.cluster)
    refuse_if_frozen(stack.name, stack.tags)
    refuse_below(request.count, stack.outputs.replication_factor)
    return {
        "cluster": request.cluster,
        "stack": stack.name,
        "ecsCluster": stack.outputs.ecs_cluster,
        "count": request.count,
        "partitions": request.partitions,
        "approves": request.approves,
        "backup": wanted(stack.parameters, accepted=request.accept_no_backup),
    }
