"""Restarting one broker, or the connectors: what is seen, what follows, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from lifecycle.errors import RestartFailed, RestartRefused
from lifecycle.services.rolling import LOOKS
from lifecycle.services.startup import has_failed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.services.brokers import BrokerService, BrokerTask
    from lifecycle.services.startup import LivingTask, Service


class RestartAction(StrEnum):
    """What is done next."""

    STOP = "STOP"
    DEPLOY = "DEPLOY"
    WAIT = "WAIT"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class RestartDecision:
    """The next action and why.

    ``task`` (id) is the one to stop; ``gone`` shows that the task that ran when the operation began
    runs no more; ``whole`` in how many looks in a row the other brokers lacked nothing.
    """

    action: RestartAction
    reason: str
    gone: bool
    task: str = ""
    whole: int = 0


@dataclass(frozen=True, slots=True)
class BrokerRestartObserved:
    """Everything that one decision about one broker rests on.

    ``nodes`` give the broker id by task id; ``problems`` list what the cluster lacks to be whole,
    ``others`` what it lacks without the broker; ``since`` (epoch seconds) is when the operation
    began, ``whole`` in how many looks in a row until now the others lacked nothing, ``stopped`` the
    id of the task that it stopped, empty before.
    """

    broker: int
    service: BrokerService
    nodes: Mapping[str, int]
    problems: tuple[str, ...]
    others: tuple[str, ...]
    since: int
    whole: int = 0
    stopped: str = ""


def decide_broker_restart(observed: BrokerRestartObserved) -> RestartDecision:
    """Decide the next action towards the broker running in a task younger than the operation.

    Its task is stopped once the *other* brokers are there and all their replicas healthy, in three
    looks in a row: so a broker that is sick can be restarted, and never a second one goes. A task
    that is younger than the operation is never stopped, so that repeating is harmless. Raises
    ``RestartRefused`` where there is no such broker, or where ECS would start no task for it.
    """
    service, broker = observed.service, observed.broker
    if broker >= service.desired:
        raise RestartRefused(
            f"There is no broker {broker}: the brokers are {_numbers(service.desired)}."
        )
    primary = next((one for one in service.deployments if one.status == "PRIMARY"), None)
    if primary is not None and primary.rollout_state == "FAILED":
        raise RestartRefused(
            "ECS marked the brokers' last deployment as failed, so it does not replace a stopped "
            "task.",
            next_step="Restart all brokers, or provision: both start a new deployment.",
        )
    task = _task_of(observed)
    if task is not None and task.task_id == observed.stopped:
        return RestartDecision(RestartAction.WAIT, f"ECS stops task {task.task_id}", gone=True)
    young = task is not None and task.created_at >= observed.since
    gone = bool(observed.stopped) or young

    def wait(reason: str, whole: int = 0) -> RestartDecision:
        return RestartDecision(RestartAction.WAIT, reason, gone, whole=whole)

    if len(service.deployments) > 1:
        return wait("a deployment of the brokers is in progress")
    if len(service.running) < service.desired:
        troubles = f" ({'; '.join(service.troubles[:2])})" if service.troubles else ""
        return wait(f"{len(service.running)} of {service.desired} tasks run{troubles}")
    if task is None:
        return wait(f"no running task is known to be broker {broker}")
    lacking = observed.problems if gone else observed.others
    if lacking:
        more = f" (and {len(lacking) - 2} more)" if len(lacking) > 2 else ""
        return wait("; ".join(lacking[:2]) + more)
    unseen = [t.task_id for t in service.running if t != task and t.task_id not in observed.nodes]
    if unseen:
        return wait(f"the address of task {unseen[0]} is not in the topology")
    if gone:
        done = f"broker {broker} runs in task {task.task_id}, and the cluster is healthy"
        return RestartDecision(RestartAction.DONE, done, gone)
    whole = observed.whole + 1
    if whole < LOOKS:
        return wait(f"the other brokers are healthy in {whole} of {LOOKS} checks", whole)
    reason = f"the task of broker {broker} is stopped"
    return RestartDecision(RestartAction.STOP, reason, gone, task.task_id)


def _task_of(observed: BrokerRestartObserved) -> BrokerTask | None:
    """Return the running task of the broker; one that is not in the topology by elimination."""
    running = observed.service.running
    known = [task for task in running if observed.nodes.get(task.task_id) == observed.broker]
    if known:
        # A task that is stopping may still be seen beside the one in its place.
        return max(known, key=lambda task: task.created_at)
    unseen = [task for task in running if task.task_id not in observed.nodes]
    others = set(range(observed.service.desired)) - {observed.broker}
    if len(unseen) == 1 and set(observed.nodes.values()) == others:
        return unseen[0]
    return None


def decide_connectors_restart(
    service: Service,
    since: int,
    former: str = "",
    *,
    tasks: Sequence[LivingTask],
    required: bool = True,
) -> RestartDecision:
    """Decide the next action towards all connectors being of a deployment that counts as restart.

    ``since`` (epoch seconds) is from when one counts, ``former`` the id of the deployment that this
    operation began another one after, empty before; ``tasks`` are those whose containers may run.
    They hold nothing, so ECS replaces them automatically; it is done when the tasks themselves show
    that none of another deployment is left. Where none is to run, that is refused as ``required``,
    or else done when the last one has stopped. Raises ``RestartRefused`` and ``RestartFailed`` with
    ECS's reason.
    """
    if not service.exists or service.desired == 0:
        return _without_connectors(tasks, required=required)
    primary = service.primary
    if primary is not None and primary.deployment_id == former:
        reason = "ECS does not show the new deployment yet"
        return RestartDecision(RestartAction.WAIT, reason, gone=True)
    if primary is None or (not former and primary.created_at < since):
        return RestartDecision(RestartAction.DEPLOY, "a deployment begins", gone=False)
    if has_failed(service):
        why = primary.rollout_reason or "the deployment circuit breaker tripped"
        raise RestartFailed(
            f"ECS stopped the restart of the connectors: {why.rstrip('.')}. {service.running} of "
            f"{service.desired} tasks run.",
        )
    if (
        primary.rollout_state != "COMPLETED"
        or service.running < service.desired
        or len(service.deployments) > 1
    ):
        new = f"{primary.running} of {service.desired} connectors are new tasks"
        return RestartDecision(RestartAction.WAIT, new, gone=True)
    left = [task for task in tasks if task.deployment != primary.deployment_id]
    if left:
        return RestartDecision(RestartAction.WAIT, _living(left), gone=True)
    seen = sum(task.status == "RUNNING" for task in tasks)
    if seen < service.desired:
        few = f"ECS lists {seen} of {service.desired} new tasks as RUNNING"
        return RestartDecision(RestartAction.WAIT, few, gone=True)
    return RestartDecision(RestartAction.DONE, "every connector is a new task", gone=True)


def _without_connectors(tasks: Sequence[LivingTask], *, required: bool) -> RestartDecision:
    if required:
        raise RestartRefused(
            "This cluster has no connectors, so there is nothing to restart.",
            next_step="Provision with Connectors of at least 1.",
        )
    if tasks:
        return RestartDecision(RestartAction.WAIT, _living(tasks), gone=True)
    return RestartDecision(RestartAction.DONE, "no connectors run", gone=True)


def _living(tasks: Sequence[LivingTask]) -> str:
    more = f" (and {len(tasks) - 1} more)" if len(tasks) > 1 else ""
    return f"task {tasks[0].task_id} of a former deployment is {tasks[0].status}{more}"


def _numbers(desired: int) -> str:
    return {0: "stopped", 1: "0"}.get(desired, f"0 to {desired - 1}")
