"""Whether the ECS services came up, from what ECS and the brokers say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of an ECS service."""

    deployment_id: str
    status: str
    rollout_state: str
    rollout_reason: str
    failed_tasks: int
    running: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """An ECS service as described by AWS.

    ``events`` are newest first, as ECS gives them; ``revision`` is the ARN of its task definition.
    """

    name: str
    status: str
    desired: int
    running: int
    pending: int
    deployments: tuple[Deployment, ...]
    events: tuple[str, ...] = ()
    revision: str = ""


@dataclass(frozen=True, slots=True)
class StoppedTask:
    """A task of a service that stopped; ``stopped_at`` is ISO 8601 in UTC."""

    task_id: str
    stopped_at: str
    stop_code: str
    reason: str
    containers: tuple[str, ...] = ()


class StartState(StrEnum):
    """Where the start of a service stands."""

    STARTED = "STARTED"
    WAITING = "WAITING"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class StartDecision:
    """The state of a start, and the reason: what is waited for, or why it failed."""

    state: StartState
    reason: str


# As many as ECS's own circuit breaker needs at least: min(max(3, 0.5 x desired), 200).
REPEATED_STOPS: Final = 3
# ECS stops tasks by itself when it scales in or replaces them: that is no failure of the task.
_PLANNED_STOPS: Final = frozenset({"ServiceSchedulerInitiated", "UserInitiated"})


def decide_start(service: Service, stopped: Sequence[StoppedTask], formed: str) -> StartDecision:
    """Decide whether one service has started.

    ``stopped`` holds the tasks that stopped since the start; ``formed`` is empty when what runs
    in the service says of itself that it is ready, else what it still waits for.
    """
    if service.status != "ACTIVE":
        return StartDecision(StartState.FAILED, f"service {service.name} is {service.status}")
    primary = next((d for d in service.deployments if d.status == "PRIMARY"), None)
    failures = [task for task in stopped if task.stop_code not in _PLANNED_STOPS]
    if primary is not None and primary.rollout_state == "FAILED":
        reason = primary.rollout_reason or "the deployment circuit breaker tripped"
        return StartDecision(StartState.FAILED, f"{service.name}: {reason}{_stops(failures)}")
    if len(failures) >= max(REPEATED_STOPS, service.desired):
        return StartDecision(
            StartState.FAILED,
            f"{service.name}: {len(failures)} tasks stopped while starting{_stops(failures)}",
        )
    if service.running < service.desired:
        placement = next((e for e in service.events[:3] if "unable to" in e), "")
        return StartDecision(
            StartState.WAITING,
            f"{service.name}: {service.running} of {service.desired} tasks run"
            + (f" ({placement})" if placement else _stops(failures)),
        )
    if formed:
        return StartDecision(StartState.WAITING, f"{service.name}: {formed}")
    if len(service.deployments) > 1:
        return StartDecision(
            StartState.WAITING, f"{service.name}: an older deployment is being drained"
        )
    return StartDecision(StartState.STARTED, f"{service.name}: {service.running} tasks run")


def _stops(failures: Sequence[StoppedTask]) -> str:
    if not failures:
        return ""
    last = max(failures, key=lambda task: task.stopped_at)
    containers = f" [{'; '.join(last.containers)}]" if last.containers else ""
    return f"; the last of {len(failures)} stopped tasks, {last.task_id}: {last.reason}{containers}"


def has_failed(service: Service) -> bool:
    """Tell whether ECS gave up the service's deployment: it starts no further task for it."""
    return any(d.status == "PRIMARY" and d.rollout_state == "FAILED" for d in service.deployments)


def must_start(service: Service) -> bool:
    """Tell whether a service needs a new deployment to start.

    One at zero does. One with a count is left alone, unless its deployment failed and nothing
    runs.
    """
    return service.desired == 0 or (has_failed(service) and service.running == 0)


def minimum_healthy_percent(count: int) -> int:
    """Percentage that lets ECS take down at most one of ``count`` tasks at a time.

    floor(100 * (N - 1) / N): 66 for three. A fixed 66 would let two of six go at once.
    """
    return 100 * (count - 1) // count if count > 1 else 0
