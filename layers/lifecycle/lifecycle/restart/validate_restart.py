"""Check a restart request before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cluster.find import find_own_cluster
from lifecycle.preflight.backup_gate import ACCEPT, wanted
from lifecycle.restart.request import RestartedService, read_restart_request

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Stacks


def validate_restart(raw: object, *, control_stack: str, stacks: Stacks) -> dict[str, Any]:
    """Validate ``{"clusterName": "demo", "service": "brokers", "broker": 2}``; change nothing.

    Returns ``cluster``, ``stack``, ``ecsCluster``, ``service``, ``broker`` (null for all),
    ``dryRun``, ``approves``, ``acceptNoBackup``, ``needsBackup`` (only a restart of all brokers
    does) and ``backup``, what the machine requests of ``TakeBackup`` then, as the state machine
    carries them. Raises ``InvalidRequest`` that
    names every wrong field, ``ClusterNotFound``, ``ClusterFrozen``, and ``StackNotUsable`` for a
    cluster that something else made, and for a stack that CloudFormation changes.
    """
    request = read_restart_request(raw)
    stack = find_own_cluster(stacks, control_stack, request.cluster)
    return {
        "cluster": request.cluster,
        "stack": stack.name,
        "ecsCluster": stack.outputs.ecs_cluster,
        "service": str(request.service),
        "broker": request.broker,
        "dryRun": request.dry_run,
        "approves": request.approves,
        ACCEPT: request.accept_no_backup,
        "needsBackup": request.service is RestartedService.BROKERS and request.broker is None,
        "backup": wanted(stack.parameters, accepted=request.accept_no_backup),
    }
