"""Check a restart request before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cluster.find import find_cluster
from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.cluster.stack import refuse_foreign_services
from lifecycle.errors import StackNotUsable
from lifecycle.restart.request import read_restart_request

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Stacks


def validate_restart(raw: object, *, control_stack: str, stacks: Stacks) -> dict[str, Any]:
    """Validate ``{"clusterName": "demo", "service": "brokers", "broker": 2}``; change nothing.

    Returns ``cluster``, ``stack``, ``ecsCluster``, ``service``, ``broker`` (null for all),
    ``dryRun`` and ``approves`` as the state machine carries them. Raises ``InvalidRequest`` that
    names every wrong field, ``ClusterNotFound``, ``ClusterFrozen``, and ``StackNotUsable`` for a
    cluster that something else made, and for a stack that CloudFormation changes.
    """
    request = read_restart_request(raw)
    stack = find_cluster(stacks, control_stack, request.cluster)
    refuse_foreign_services(stack)
    refuse_if_frozen(stack.name, stack.tags)
    if stack.status.endswith("_IN_PROGRESS"):
        raise StackNotUsable(
            f"Stack {stack.name} is in {stack.status}.",
            next_step="Wait until it has finished, then restart.",
        )
    return {
        "cluster": request.cluster,
        "stack": stack.name,
        "ecsCluster": stack.outputs.ecs_cluster,
        "service": str(request.service),
        "broker": request.broker,
        "dryRun": request.dry_run,
        "approves": request.approves,
    }
