"""Replacing brokers, one at a time, by those of a new deployment of their service.

A deployment is what is aimed at, not a revision: so a restart on the same revision restarts, and
one that was begun is not begun twice. Left to itself, ECS replaces whichever task it likes, and
takes a broker that answers for one whose partitions are whole. So every broker is protected before
the deployment begins, and released one by one: the highest id first, the next only when the cluster
is whole and every leader exports what it processed.
Source: Camunda's documentation of rolling updates; camunda/camunda#63712 for what readiness alone
has cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.polling import next_wait
from lifecycle.errors import RollingUpdateFailed
from lifecycle.services.definition import deploys
from lifecycle.services.startup import has_failed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lifecycle.services.brokers import BrokerService, BrokerTask
    from lifecycle.services.definition import Difference
    from lifecycle.services.startup import Service


class RollAction(StrEnum):
    """What is done next."""

    PROTECT = "PROTECT"
    MOVE = "MOVE"
    RELEASE = "RELEASE"
    WAIT = "WAIT"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class RollDecision:
    """The next action and why.

    ``tasks`` (ids) are those to protect or to release; ``moved`` brokers are of the deployment that
    is aimed at; ``begun`` shows whether it is there; ``whole`` in how many looks in a row nothing
    was lacking.
    """

    action: RollAction
    reason: str
    begun: bool
    moved: int
    tasks: tuple[str, ...] = ()
    whole: int = 0


@dataclass(frozen=True, slots=True)
class RollObserved:
    """Everything one decision rests on.

    ``differs`` shows that the service is to get another revision, or other properties that replace
    tasks; ``restart_since`` (epoch seconds) that every broker is to be of a deployment that is not
    older, or unfinished, 0 for no restart; it begins only while the cluster is healthy.
    ``problems`` list what the cluster lacks to be whole (empty: nothing), ``exporting`` which
    leaders are not known to export what they processed (empty: all do); ``nodes`` give the broker
    id by task id, ``whole`` in how many looks in a row until now nothing was lacking, ``now`` is
    in epoch seconds. ``former`` is the id of the deployment that a restart began another one
    after, empty until it did: the API of ECS is eventually consistent
    (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html), so that it may
    return the state before. ``aim`` is the id of the deployment that it was last seen to continue.
    """

    service: BrokerService
    differs: bool
    problems: tuple[str, ...]
    exporting: tuple[str, ...]
    nodes: Mapping[str, int]
    now: int
    restart_since: int = 0
    whole: int = 0
    former: str = ""
    aim: str = ""


# Looks in a row in which the cluster has to be whole before the next broker goes.
LOOKS: Final = 3
_BETWEEN_LOOKS: Final = 2
# Seconds for one broker: it loads its partitions from disk and catches up.
BROKER_PATIENCE: Final = 30 * 60
# Seconds that a restart waits for the cluster to be whole before it gives up, having done nothing.
PATIENCE_BEFORE: Final = 5 * 60
_RENEW_BELOW: Final = 5 * 60


def must_roll(service: Service, differences: Iterable[Difference]) -> bool:
    """Return whether brokers that run have to be replaced, or a replacement goes on.

    A deployment that ECS gave up counts: it starts no task any more, not even for a broker that
    dies.
    """
    others = any(d.status != "PRIMARY" and d.running for d in service.deployments)
    return service.desired > 0 and (deploys(differences) or others or has_failed(service))


def decide_roll(observed: RollObserved, *, fresh: bool) -> RollDecision:
    """Decide the next action towards every broker being of the deployment that is aimed at.

    ``fresh``: this operation has not begun a deployment, so that one that failed is an earlier
    one, and is replaced. An update that was interrupted anywhere is continued. Raises
    ``RollingUpdateFailed`` when ECS gave up the deployment of this operation.
    """
    service = observed.service
    primary = next((d for d in service.deployments if d.status == "PRIMARY"), None)
    failed = primary is not None and primary.rollout_state == "FAILED"
    if primary is not None and observed.former == primary.deployment_id:
        reason = "ECS does not show the new deployment yet"
        return RollDecision(RollAction.WAIT, reason, begun=True, moved=0)
    # An unfinished deployment is continued: a repeated restart begins no second one.
    unfinished = any(d.status != "PRIMARY" and d.running for d in service.deployments)
    young = primary is not None and (
        bool(observed.former)
        or unfinished
        or primary.deployment_id == observed.aim
        or primary.created_at >= observed.restart_since
    )
    begun = young and not observed.differs and not failed
    current = primary.deployment_id if primary is not None and begun else ""
    old = _highest_first(observed, current)
    moved = sum(task.deployment == current for task in service.running)
    if failed and not fresh:
        why = primary.rollout_reason if primary is not None else ""
        there = primary.deployment_id if primary is not None else ""
        raise RollingUpdateFailed(
            f"ECS stopped the deployment of the brokers to {short(service.revision)}: "
            f"{(why or 'the deployment circuit breaker tripped').rstrip('.')}. "
            f"{sum(task.deployment != there for task in old)} of {service.desired} brokers belong "
            "to an earlier deployment and were left running."
        )

    def decision(
        action: RollAction, reason: str, tasks: tuple[str, ...] = (), whole: int = 0
    ) -> RollDecision:
        progress = f"{moved} of {service.desired} brokers updated; {reason}"
        return RollDecision(action, progress, begun, moved, tasks, whole)

    if not begun:
        # After a failed deployment ECS starts no task, so that only a new one makes it whole.
        if observed.restart_since and observed.problems and not failed:
            return decision(RollAction.WAIT, _first_two(observed.problems))
        # Nothing is stopped while all are protected, so that even a cluster that lacks a broker
        # may begin: ECS starts the missing one, and no broker is released before it is whole.
        unsafe = _unsafe((task for task in old if task.runs), observed.now)
        if unsafe:
            return decision(
                RollAction.PROTECT, ("protecting all before the first one is replaced"), unsafe
            )
        return decision(RollAction.MOVE, "a deployment begins")
    free = [task for task in old if task.protected_until <= observed.now]
    # More than one is free only where protection ran out between two looks.
    unsafe = _unsafe((t for t in old if t not in free[:1] and t.runs), observed.now)
    if unsafe:
        return decision(RollAction.PROTECT, "protecting the waiting ones", unsafe)
    lacking = _lacking(observed, old)
    if lacking:
        return decision(RollAction.WAIT, lacking)
    if free:
        return decision(RollAction.WAIT, f"ECS replaces {_name(free[0], observed)}")
    if observed.exporting:
        return decision(RollAction.WAIT, _first_two(observed.exporting))
    if old:
        whole = observed.whole + 1
        if whole < LOOKS:
            return decision(RollAction.WAIT, f"healthy in {whole} of {LOOKS} checks", whole=whole)
        return decision(RollAction.RELEASE, f"{_name(old[0], observed)} is next", (old[0].task_id,))
    leftover = _ids(service.protected)
    if leftover:
        return decision(RollAction.RELEASE, "leaving no task protected", leftover)
    return decision(RollAction.DONE, "the cluster is healthy")


def seconds_to_wait(*, waits: bool, whole: int, looks: int) -> int:
    """Return the seconds until the next look, after ``looks`` looks at what has not moved.

    Nearly none after an action, and few while the looks are counted in which nothing is lacking.
    """
    if not waits:
        return 1
    return _BETWEEN_LOOKS if whole else next_wait(min(looks, 3), near_end=False)


def short(revision: str) -> str:
    """Return family and number of a revision, out of its ARN."""
    return revision.rsplit("/", 1)[-1]


def _highest_first(observed: RollObserved, current: str) -> tuple[BrokerTask, ...]:
    """Tasks of other deployments that are to stay for now; the coordinator, broker 0, comes last.

    A task that is no broker yet is the least to lose, so it comes first.
    """
    tasks = [task for task in observed.service.tasks if task.wanted and task.deployment != current]
    return tuple(
        sorted(tasks, key=lambda t: observed.nodes.get(t.task_id, len(tasks)), reverse=True)
    )


def _lacking(observed: RollObserved, old: tuple[BrokerTask, ...]) -> str:
    """What the cluster lacks to spare a broker; empty when it is whole."""
    service = observed.service
    running = len(service.running)
    if running < service.desired:
        failures = f" ({'; '.join(service.troubles[:2])})" if service.troubles else ""
        return f"{running} of {service.desired} tasks run{failures}"
    if observed.problems:
        return _first_two(observed.problems)
    unseen = [task.task_id for task in service.running if task.task_id not in observed.nodes]
    if unseen:
        return f"the address of task {unseen[0]} is not in the topology"
    if not old and len(service.deployments) > 1:
        return "ECS drains the older deployment"
    return ""


def _first_two(problems: tuple[str, ...]) -> str:
    more = f" (and {len(problems) - 2} more)" if len(problems) > 2 else ""
    return "; ".join(problems[:2]) + more


def _unsafe(tasks: Iterable[BrokerTask], now: int) -> tuple[str, ...]:
    return _ids(task for task in tasks if task.protected_until < now + _RENEW_BELOW)


def _ids(tasks: Iterable[BrokerTask]) -> tuple[str, ...]:
    return tuple(sorted(task.task_id for task in tasks))


def _name(task: BrokerTask, observed: RollObserved) -> str:
    node = observed.nodes.get(task.task_id)
    return f"task {task.task_id}" if node is None else f"broker {node}"
