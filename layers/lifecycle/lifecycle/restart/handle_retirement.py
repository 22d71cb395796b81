"""Restart what Fargate is going to retire, before it does, and notify people before and after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.find import find_stack
from lifecycle.errors import ClusterNotFound, LifecycleError, ServiceMissing
from lifecycle.operation.approval import OF_AWS
from lifecycle.preflight.backup_gate import ACCEPT
from lifecycle.restart.request import RestartedService
from lifecycle.restart.retirement import (
    AT_ONCE,
    SERVICES,
    Affected,
    Moment,
    decide_moment,
    read_notice,
)
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.cluster.ports import Clock, Stacks
    from lifecycle.cluster.stack import Stack
    from lifecycle.operation.ports import Messages, Schedules
    from lifecycle.operation.start import OperationStarter
    from lifecycle.restart.retirement import Notice
    from lifecycle.services.ports import BrokerTasks

# How long a restart that could not begin is put off.
PUT_OFF: Final = timedelta(minutes=30)
_KEY: Final = "retirement"
_UNITS: Final = {"brokers": "The brokers", "connectors": "The connectors"}


@dataclass(frozen=True, slots=True)
class RetirementHandler:
    """The use case and its ports.

    ``service_of`` gives the service of a task that is named by ECS cluster and id, empty for one
    that is gone.
    """

    stacks: Stacks
    tasks: BrokerTasks
    service_of: Callable[[str, str], str]
    schedules: Schedules
    starter: OperationStarter
    messages: Messages
    clock: Clock
    control_stack: str
    region: str

    # --- the notice ------------------------------------------------------------------------------

    def announced(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Schedule a restart for each of our services that a notice names, and report when.

        The same notice again does nothing, also after its restart. Where it names both services of
        a cluster, the connectors come half an hour after the brokers. Returns ``scheduled``: what,
        and when. Raises ``NoticeUnreadable``.
        """
        notice = read_notice(event)
        if notice.closed or notice.region != self.region:
            return {"scheduled": []}
        named = {found for one in notice.affected if (found := self._ours(one)) is not None}
        scheduled = []
        for cluster, service in sorted(named):
            stack = self._stack(cluster)
            if stack is not None:
                waits = (cluster, RestartedService.BROKERS) in named and (
                    service is RestartedService.CONNECTORS
                )
                scheduled.append(self._schedule(notice, cluster, service, stack, waits=waits))
        return {"scheduled": scheduled}

    def _stack(self, cluster: str) -> Stack | None:
        """Return the cluster's stack; None where there is none, or one of another control stack."""
        try:
            return find_stack(self.stacks, self.control_stack, cluster)
        except ClusterNotFound:
            return None

    def _ours(self, affected: Affected) -> tuple[str, RestartedService] | None:
        prefix = f"{self.control_stack}-"
        if not affected.ecs_cluster.startswith(prefix):
            return None
        service = affected.service or self.service_of(affected.ecs_cluster, affected.task)
        if service not in SERVICES:
            return None
        return affected.ecs_cluster.removeprefix(prefix), SERVICES[service]

    def _schedule(
        self,
        notice: Notice,
        cluster: str,
        service: RestartedService,
        stack: Stack,
        *,
        waits: bool,
    ) -> dict[str, str]:
        moment = _moment(stack, notice.begins_at, self.clock.now())
        at = moment.at + (PUT_OFF if waits else timedelta())
        payload = {
            "kind": "begin",
            "cluster": cluster,
            "service": str(service),
            "notice": notice.id,
            "announcedAt": written(notice.announced_at),
            "beginsAt": written(notice.begins_at),
            "attempt": "1",
        }
        scheduled = {"cluster": cluster, "service": str(service), "at": written(at)}
        if self.schedules.has(_name(payload)):
            return scheduled
        # Published before it is scheduled: a repetition after a crash rather publishes twice.
        self.messages.publish(
            f"Cluster {cluster}: {service} will be restarted",
            f"{_UNITS[service]} of cluster {cluster} will be restarted at {_at(at)} "
            f"({moment.reason}).\n\nAWS Fargate retires the platform version that they run on and "
            f"replaces them automatically from {_at(notice.begins_at)} on, without regard to "
            "partitions. The restart replaces them one at a time before that.\n\nTo choose the "
            "time yourself, start the restart machine earlier; this one then finds nothing to do.",
        )
        self.schedules.once(_name(payload), at=at, payload=payload, keep=True)
        return scheduled

    # --- the moment ------------------------------------------------------------------------------

    def due(self, payload: Mapping[str, str]) -> dict[str, Any]:
        """Start the restart, or postpone it while the cluster is busy, frozen or not usable.

        After AWS's date nothing is postponed. Nothing is started for tasks that are all younger
        than the notice. Returns ``result``: STARTED, NOT_NEEDED, PUT_OFF or GIVEN_UP.
        """
        cluster, service = payload["cluster"], payload["service"]
        stack = self._stack(cluster)
        if stack is None or "EcsClusterName" not in stack.outputs:
            return {"result": "NOT_NEEDED"}
        if not self._old_tasks(stack, payload):
            return {"result": "NOT_NEEDED"}
        key = f"{_KEY}-{service[:1]}-{payload['notice']}-{payload['attempt']}"
        request: dict[str, Any] = {"clusterName": cluster, "service": service}
        if service == RestartedService.BROKERS:
            # Without the restart AWS stops the brokers, backup or not, and by no order.
            request[ACCEPT] = True
        try:
            record, _ = self.starter.start("restart", request, key=key, caller=OF_AWS)
        except LifecycleError as error:
            return self._put_off(stack, payload, error)
        return {"result": "STARTED", "operationId": record.operation_id}

    def _old_tasks(self, stack: Stack, payload: Mapping[str, str]) -> bool:
        """Whether a task runs that may be on the platform version that is retired."""
        names = {str(service): name for name, service in SERVICES.items()}
        announced = datetime.fromisoformat(payload["announcedAt"]).timestamp()
        try:
            found = self.tasks.observe(stack.outputs.ecs_cluster, names[payload["service"]])
        except ServiceMissing:
            return False
        return any(0 < task.created_at < announced for task in found.tasks if task.wanted)

    def _put_off(
        self, stack: Stack, payload: Mapping[str, str], error: LifecycleError
    ) -> dict[str, Any]:
        cluster, service = payload["cluster"], payload["service"]
        begins_at = datetime.fromisoformat(payload["beginsAt"])
        later = self.clock.now() + PUT_OFF
        again = _moment(stack, begins_at, later - AT_ONCE).at
        if again >= begins_at:
            self.messages.publish(
                f"Cluster {cluster}: {service} were not restarted",
                f"{_UNITS[service]} of cluster {cluster} could not be restarted before AWS "
                f"Fargate replaces them, from {_at(begins_at)} on: {error}\n\nStart the restart "
                "machine as soon as the cluster allows it; watch its health while AWS replaces "
                "brokers.",
            )
            return {"result": "GIVEN_UP", "reason": error.message}
        next_one = {**payload, "attempt": str(int(payload["attempt"]) + 1)}
        if payload["attempt"] == "1" and not self.schedules.has(_name(next_one)):
            self.messages.publish(
                f"Cluster {cluster}: the restart of {service} is postponed",
                f"The restart of {service} of cluster {cluster} could not start: {error}\n\nIt is "
                f"retried at {_at(again)}, and so on until {_at(begins_at)}, when AWS Fargate "
                "starts to replace the tasks automatically.",
            )
        self.schedules.once(_name(next_one), at=again, payload=next_one)
        return {"result": "PUT_OFF", "until": written(again), "reason": error.message}

    # --- the end ---------------------------------------------------------------------------------

    def ended(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Report how a restart ended that was started here; any other is none of this."""
        detail = event["detail"]
        name, status = str(detail["name"]), str(detail["status"])
        cluster, _, rest = name.partition(".")
        if not rest.startswith(f"restart.{_KEY}-"):
            return {"published": False}
        letter = rest.removeprefix(f"restart.{_KEY}-")[:1]
        service = next((one for one in SERVICES.values() if one.startswith(letter)), "tasks")
        if status == "SUCCEEDED":
            self.messages.publish(
                f"Cluster {cluster}: {service} restarted before Fargate's retirement",
                f"Operation {name} succeeded: every task is new and the cluster was verified.",
            )
        else:
            self.messages.publish(
                f"Cluster {cluster}: the restart of {service} did not succeed",
                f"Operation {name}, started before AWS Fargate replaces the tasks automatically, "
                f"ended as {status}. Its report shows the current state and the next step; start "
                "the restart machine again once the cause is fixed.",
            )
        return {"published": True}


def _moment(stack: Stack, begins_at: datetime, now: datetime) -> Moment:
    return decide_moment(
        begins_at,
        stack.parameters.get("MaintenanceWindow", ""),
        stack.parameters.get("MaintenanceTimeZone", "UTC"),
        now,
    )


def _name(payload: Mapping[str, str]) -> str:
    """Name of a schedule: at most 64 characters, the same for the same restart."""
    parts = (payload["cluster"], payload["service"][:1], payload["notice"], payload["attempt"])
    return "-".join(("restart", *parts))


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
