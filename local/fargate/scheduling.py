"""What the ECS scheduler decides, as pure functions of what runs and what is wanted.

Sources are AWS's documents of `DeploymentConfiguration`, of the deployment circuit breaker and of
task scale-in protection. Where AWS leaves a choice open (which task a scale-in stops), the choice
here is the one that hurts a cluster most, so that what survives it survives AWS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_BREAKER_PERCENT = 50
_BREAKER_LEAST = 3
_BREAKER_MOST = 200
_LONGEST_DELAY = 30.0


@dataclass(frozen=True)
class TaskView:
    """A task that is starting or running; one that is being stopped no longer counts."""

    id: str
    deployment: str
    running: bool
    healthy: bool
    """Passed its container health check and is healthy in every target group it is in."""
    protected: bool
    node_id: int | None
    created: float


@dataclass(frozen=True)
class ServiceView:
    """What one decision needs to know about a service."""

    desired: int
    deployment: str
    """Id of the PRIMARY deployment."""
    failed: bool
    """The circuit breaker tripped: no task is started until there is a new deployment."""
    minimum_percent: int
    maximum_percent: int
    tasks: tuple[TaskView, ...]


@dataclass(frozen=True)
class Decision:
    """How many tasks to start now, and the ids of those to stop now."""

    start: int = 0
    stop: tuple[str, ...] = ()


def decide(service: ServiceView) -> Decision:
    """Give the next step towards the desired count and the primary deployment.

    A rolling deployment keeps at least ceil(desired x minimum %) healthy tasks and never has more
    than floor(desired x maximum %) that start or run.
    """
    new = [task for task in service.tasks if task.deployment == service.deployment]
    old = [task for task in service.tasks if task.deployment != service.deployment]
    if service.failed or not old:
        excess = len(service.tasks) - service.desired
        if excess > 0:
            return Decision(stop=least_convenient(service.tasks, excess))
        return Decision(start=0 if service.failed else -excess)

    surplus = least_convenient(new, max(0, len(new) - service.desired))
    least = math.ceil(service.desired * service.minimum_percent / 100)
    most = max(min(1, service.desired), service.desired * service.maximum_percent // 100)
    spare = max(0, sum(task.healthy for task in service.tasks) - len(surplus) - least)
    useless = least_convenient([task for task in old if not task.healthy], len(old))
    replaced = least_convenient([task for task in old if task.healthy], spare)
    room = most - (len(service.tasks) - len(surplus) - len(useless) - len(replaced))
    return Decision(
        start=max(0, min(service.desired - len(new), room)), stop=(*surplus, *useless, *replaced)
    )


def least_convenient(tasks: Iterable[TaskView], count: int) -> tuple[str, ...]:
    """Choose up to `count` unprotected tasks to stop: the lowest node ids first.

    The lowest id coordinates the cluster, and only the highest can leave it without a gap. AWS
    promises no order; it balances availability zones.
    """
    candidates = [task for task in tasks if not task.protected]
    candidates.sort(key=lambda task: (task.node_id is None, task.node_id or 0, task.created))
    return tuple(task.id for task in candidates[:count])


def breaker_threshold(desired: int, breaker: Mapping[str, Any] | None = None) -> int:
    """Give the number of failures that fails a deployment under a circuit breaker's settings.

    Half of the desired count from 3 to 200, so 3 for up to six tasks, unless
    ``thresholdConfiguration`` sets another value.
    """
    configuration = (breaker or {}).get("thresholdConfiguration") or {}
    kind = configuration.get("type", "BOUNDED_PERCENT")
    value = int(configuration.get("value", _BREAKER_PERCENT))
    if kind == "COUNT":
        return value
    share = math.ceil(desired * value / 100)
    if kind == "UNBOUNDED_PERCENT":
        return max(1, share)
    return min(_BREAKER_MOST, max(_BREAKER_LEAST, share))


def failures_after_success(failures: int, breaker: Mapping[str, Any] | None = None) -> int:
    """Failures that still count once a task is healthy: none, for they count in a row.

    ``resetOnHealthyTask`` set to false makes all of a deployment's failures count.
    """
    return 0 if (breaker or {}).get("resetOnHealthyTask", True) else failures


def retry_delay(failures: int) -> float:
    """Seconds until the next start after that many tasks stopped on their own in a row.

    AWS delays up to 15 minutes; here it is 30 seconds, in the same doubling steps.
    """
    return min(_LONGEST_DELAY, 2.0 ** (failures - 1)) if failures > 0 else 0.0


def settled(service: ServiceView) -> bool:
    """Whether the deployment is complete: exactly the desired tasks, all new and all healthy."""
    return len(service.tasks) == service.desired and all(
        task.healthy and task.deployment == service.deployment for task in service.tasks
    )


def node_id_told(file: Path) -> int | None:
    """Give the node id that a task's process has written; None while it has none."""
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
