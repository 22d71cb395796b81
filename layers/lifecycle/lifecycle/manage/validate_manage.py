"""Check a request for a way in before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cluster.find import find_own_cluster
from lifecycle.errors import ManageRefused
from lifecycle.manage.request import Action, read_manage_request

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Stacks


def validate_manage(raw: object, *, control_stack: str, stacks: Stacks) -> dict[str, Any]:
    """Validate ``{"clusterName": "demo", "action": "open-management"}``; change nothing.

    Returns ``cluster``, ``stack``, ``ecsCluster``, ``action``, ``minutes``, ``cidrs`` (empty for
    the VPC), ``dryRun`` and ``approves`` as the state machine carries them. Raises
    ``InvalidRequest`` that names every wrong field, ``ClusterNotFound``, ``ClusterFrozen``,
    ``ManageRefused`` for a load balancer that must not or need not be opened, and
    ``StackNotUsable`` for a cluster that something else made, and for a stack that CloudFormation
    changes.
    """
    request = read_manage_request(raw)
    stack = find_own_cluster(stacks, control_stack, request.cluster)
    for output in ("RestTargetGroupArn", "ManagementTargetGroupArn"):
        stack.outputs.required(output)
    scheme = stack.parameters.get("LoadBalancerScheme", "")
    if request.action is Action.OPEN and scheme != "internal":
        raise ManageRefused(
            f"The cluster has LoadBalancerScheme={scheme or '(none)'}; the management API, which "
            "has no authentication, is opened on an internal load balancer only."
        )
    if stack.outputs.get("ManagementListener") == "true":
        raise ManageRefused(
            "The cluster has ManagementListener=true, so that the management API is open without "
            "an end.",
            next_step="Provision the cluster with ManagementListener=false to close it.",
        )
    return {
        "cluster": request.cluster,
        "stack": stack.name,
        "ecsCluster": stack.outputs.ecs_cluster,
        "action": str(request.action),
        "minutes": request.minutes,
        "cidrs": list(request.cidrs),
        "dryRun": request.dry_run,
        "approves": request.approves,
    }
