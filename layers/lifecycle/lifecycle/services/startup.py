"""Whether the ECS services came up, from what ECS and the brokers report."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from lifecycle.services.definition import FAILURES_FOR_EACH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.services.stops import StoppedTask


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of an ECS service.

    ``created_at`` is in epoch seconds, ``endpoints`` are the Service Connect names it provides.
    """

    deployment_id: str
    status: str
    rollout_state: str
    rollout_reason: str
    failed_tasks: int
    running: int = 0
    created_at: int = 0
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """An ECS service as described by AWS; one that is not there has the status ``MISSING``.

    ``events`` are newest first, as ECS gives them; ``revision`` is the ARN of its task definition;
    ``definition`` is what it is, in the shape of CreateService, tags included;
    ``service_revisions`` are the ARNs of those that have tasks or are to have some.
    """

    name: str
    status: str
    desired: int
    running: int
    pending: int
    deployments: tuple[Deployment, ...]
    events: tuple[str, ...] = ()
    revision: str = ""
    definition: Mapping[str, Any] = field(default_factory=dict)
    service_revisions: tuple[str, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether there is such a service; one that is being deleted still is."""
        return self.status != MISSING

    @property
    def primary(self) -> Deployment | None:
        """The deployment that ECS works on."""
        return next((one for one in self.deployments if one.status == "PRIMARY"), None)


@dataclass(frozen=True, slots=True)
class LivingTask:
    """A task of a service whose containers may run.

    ``deployment`` is the id of the deployment that started it, ``status`` its ``lastStatus``.
    """

    task_id: str
    deployment: str
    status: str


# The containers of a task that is DEPROVISIONING have stopped.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
ENDED: Final = frozenset({"DEPROVISIONING", "STOPPED", "DELETED"})

MISSING: Final = "MISSING"


def missing(name: str) -> Service:
    """Return a service that is not there."""
    return Service(name, MISSING, desired=0, running=0, pending=0, deployments=())


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


def decide_start(service: Service, stopped: Sequence[StoppedTask], formed: str) -> StartDecision:
    """Decide whether one service has started.

    ``stopped`` holds the tasks that stopped since the start; ``formed`` is empty when what runs
    in the service reports itself as ready, else what it still waits for.
    """
    if not service.exists:
        return StartDecision(StartState.WAITING, f"{service.name} does not exist yet")
    if service.status != "ACTIVE":
        return StartDecision(StartState.FAILED, f"service {service.name} is {service.status}")
    primary = service.primary
    failures = [task for task in stopped if task.failed]
    lasting = [task for task in failures if not task.cause.passes]
    if primary is not None and primary.rollout_state == "FAILED":
        reason = primary.rollout_reason or "the deployment circuit breaker tripped"
        return StartDecision(StartState.FAILED, f"{service.name}: {reason}{_stops(failures)}")
    if len(lasting) >= FAILURES_FOR_EACH * max(1, service.desired):
        return StartDecision(
            StartState.FAILED,
            f"{service.name}: {len(lasting)} tasks stopped while starting{_stops(lasting)}",
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
    return f"; the last of {len(failures)} stopped tasks, {last.task_id}: {last.why}"


def has_failed(service: Service) -> bool:
    """Return whether ECS gave up the service's deployment: it starts no further task for it."""
    return service.primary is not None and service.primary.rollout_state == "FAILED"


def must_start(service: Service) -> bool:
    """Return whether a service needs a new deployment to start.

    One at zero does. One with a count is left alone, unless its deployment failed and nothing
    runs.
    """
    return service.desired == 0 or (has_failed(service) and service.running == 0)
