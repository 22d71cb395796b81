"""Check a backup request before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.backup.request import STACK_CREATED, BackupAction, read_backup_request
from lifecycle.cluster.find import find_own_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.backup.former import FormerDataPlanner
    from lifecycle.cluster.ports import Stacks
    from lifecycle.cluster.stack import Stack

_RETENTIONS: Final = ("BackupRetentionDays", "DatabaseBackupRetentionDays")


def validate_backup(
    raw: object,
    *,
    control_stack: str,
    stacks: Stacks,
    former: Callable[[], FormerDataPlanner] | None = None,
) -> dict[str, Any]:
    """Validate ``{"clusterName": "demo", "action": "take"}``; change nothing.

    Returns ``cluster``, ``stack``, ``ecsCluster``, ``action``, ``backup`` (0 where one is taken),
    ``dryRun``, and what the functions read of it: ``maxAgeHours`` (null: one is taken in any case),
    ``acceptNoBackup``, ``snapshot``, ``retentionDays`` and ``stackCreatedAt``. With
    ``delete-former-data`` also the ``plan`` of ``former``, a planner, whose errors it raises; the
    API checks without one. Raises ``InvalidRequest`` that names every wrong field,
    ``ClusterNotFound``, ``ClusterFrozen``, and ``StackNotUsable`` for a cluster that something else
    made, for a stack that CloudFormation changes and one without a database.
    """
    request = read_backup_request(raw)
    stack = find_own_cluster(stacks, control_stack, request.cluster)
    stack.outputs.required("DatabaseClusterId")
    plan = None
    if request.action is BackupAction.DELETE_FORMER and former is not None:
        plan = former().plan(stack, final_snapshot=request.final_snapshot)
    return {
        "cluster": request.cluster,
        "stack": stack.name,
        "ecsCluster": stack.outputs.ecs_cluster,
        "action": str(request.action),
        "backup": request.backup,
        "dryRun": request.dry_run,
        "maxAgeHours": None,
        "acceptNoBackup": False,
        "snapshot": True,
        "retentionDays": retention_days(stack),
        STACK_CREATED: stack.created_at,
        **({} if plan is None else {"plan": plan}),
    }


def retention_days(stack: Stack) -> int:
    """Return how many days a snapshot without its brokers' backup is kept: the longer retention.

    0 where the stack has no such parameters: then none is deleted.
    """
    given = [stack.parameters.get(name, "") for name in _RETENTIONS]
    return max((int(one) for one in given if one.isascii() and one.isdecimal()), default=0)
