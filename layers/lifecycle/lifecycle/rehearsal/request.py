"""What a rehearsal request may contain. The same validation for API, console and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lifecycle.cluster.names import CLUSTER_NAME_RULE, is_cluster_name
from lifecycle.cluster.validation import Problem, invalid
from lifecycle.operation.approval import DRY_RUN
from lifecycle.operation.scheduled import SCHEDULED, is_scheduled, scheduled_problems

FIELDS: Final = ("clusterName", DRY_RUN, SCHEDULED)


@dataclass(frozen=True, slots=True)
class RehearsalRequest:
    """A request after validation; a dry run only plans, ``scheduled`` is what a schedule starts."""

    cluster: str
    dry_run: bool = False
    scheduled: bool = False


def read_rehearsal_request(raw: object) -> RehearsalRequest:
    """Validate ``{"clusterName": "demo"}``, to which a schedule adds ``scheduledAt``.

    Raises ``InvalidRequest`` that lists every problem.
    """
    if not isinstance(raw, Mapping):
        raise invalid([Problem("(input)", raw, "a JSON object with clusterName")])
    problems = [
        Problem(
            str(name) or "(empty name)", raw[name], f"nothing: the fields are {', '.join(FIELDS)}"
        )
        for name in raw
        if name not in FIELDS
    ]
    cluster, dry_run = raw.get("clusterName"), raw.get(DRY_RUN, False)
    if not is_cluster_name(cluster):
        problems.append(Problem("clusterName", cluster, CLUSTER_NAME_RULE))
    if not isinstance(dry_run, bool):
        problems.append(Problem(DRY_RUN, dry_run, "true or false"))
    problems += scheduled_problems(raw)
    if problems:
        raise invalid(problems)
    return RehearsalRequest(str(cluster), dry_run is True, is_scheduled(raw))


def lock_name(stack: str) -> str:
    """Name the lock of a cluster's rehearsals: no ECS cluster's, whose names have no full stop.

    The operations that a rehearsal starts lock the cluster and its trial, while they run.
    """
    return f"{stack}.rehearsal"
