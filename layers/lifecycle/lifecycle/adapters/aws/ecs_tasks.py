"""The brokers' ECS service task by task: addresses, protection, counts.

Sources: the API references of DescribeTasks (attachments), UpdateTaskProtection and
GetTaskProtection; aws-containers/ecs-task-protection-examples for what ``failures`` mean.
"""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.ecs_reader import (
    EcsReader,
    address,
    read_deployments,
    read_stopped,
    task_id,
)
from lifecycle.errors import ServiceMissing, StabilizationTimeout
from lifecycle.services.brokers import BrokerService, BrokerTask
from lifecycle.services.definition import configuration_for
from lifecycle.services.stops import StoppedTask, missing_capacity
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_ecs import ECSClient

_PROTECTED_PER_CALL: Final = 10


class EcsBrokerTasks:
    """The ``BrokerTasks`` port on ECS."""

    def __init__(self) -> None:
        self._reader = EcsReader()

    @property
    def _api(self) -> ECSClient:
        return self._reader.api

    def observe(self, ecs_cluster: str, service: str, *, since: str = "") -> BrokerService:
        """Return service and tasks with addresses and protection; with ``since`` also failures."""
        found = self._describe(ecs_cluster, service)
        tasks = self._reader.tasks(ecs_cluster, service, "RUNNING")
        protected = self._reader.protection(ecs_cluster, [task["taskArn"] for task in tasks])
        stops = self._stops(ecs_cluster, service, since) if since else []
        return BrokerService(
            name=found["serviceName"],
            desired=found["desiredCount"],
            deployments=read_deployments(found),
            revision=found.get("taskDefinition", ""),
            tasks=tuple(_task(task, protected) for task in tasks),
            failures=_reasons([one for one in stops if one.never_started and not one.cause.passes]),
            stops=_reasons([one for one in stops if not one.never_started or one.cause.passes]),
            unplaced=_unplaced(found, since) if since else (),
        )

    def set_count(self, ecs_cluster: str, service: str, count: int) -> None:
        """Set the count and the deployment configuration that fits it, without a deployment."""
        present = self._describe(ecs_cluster, service).get("deploymentConfiguration", {})
        configuration: Any = configuration_for(present, count)
        self._api.update_service(
            cluster=ecs_cluster,
            service=service,
            desiredCount=count,
            deploymentConfiguration=configuration,
        )

    def protect(self, ecs_cluster: str, task_ids: Sequence[str], *, minutes: int) -> None:
        """Protect tasks from scale-in. ECS answers 200 also for tasks that it did not protect."""
        failed: list[str] = []
        for few in itertools.batched(task_ids, _PROTECTED_PER_CALL, strict=False):
            answer = self._api.update_task_protection(
                cluster=ecs_cluster,
                tasks=list(few),
                protectionEnabled=True,
                expiresInMinutes=minutes,
            )
            done = {
                task_id(one["taskArn"])
                for one in answer["protectedTasks"]
                if one["protectionEnabled"]
            }
            reasons = {
                task_id(one.get("arn", "")): one.get("reason", "")
                for one in answer.get("failures", ())
            }
            failed += [
                f"{task} ({reasons.get(task) or 'no reason given'})"
                for task in few
                if task not in done
            ]
        if failed:
            raise StabilizationTimeout(
                f"ECS did not protect {', '.join(failed)} from scale-in; no count was lowered.",
                next_step="Start the same request again; it continues from what exists.",
            )

    def unprotect(self, ecs_cluster: str, task_ids: Sequence[str]) -> None:
        """Take protection away; a task that is gone needs none."""
        for few in itertools.batched(task_ids, _PROTECTED_PER_CALL, strict=False):
            self._api.update_task_protection(
                cluster=ecs_cluster, tasks=list(few), protectionEnabled=False
            )

    def service_of(self, ecs_cluster: str, task_id: str) -> str:
        """Return the name of the service that started a task; empty for one that is gone."""
        try:
            found = self._api.describe_tasks(cluster=ecs_cluster, tasks=[task_id])["tasks"]
        except self._api.exceptions.ClusterNotFoundException:
            return ""
        kind, _, name = (found[0].get("group", "") if found else "").partition(":")
        return name if kind == "service" else ""

    def stop(self, ecs_cluster: str, task_id: str, reason: str) -> None:
        """Stop one task of a service, which starts another; one that is gone is no error.

        ECS sends SIGTERM, and SIGKILL after the container's stop timeout; protection from scale-in
        does not stop it. ``reason`` is shown as ``stoppedReason``. Source:
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html
        """
        try:
            self._api.stop_task(cluster=ecs_cluster, task=task_id, reason=reason)
        except self._api.exceptions.InvalidParameterException as error:
            if "not found" not in str(error):
                raise

    def _describe(self, ecs_cluster: str, service: str) -> Any:
        try:
            found = self._reader.services(ecs_cluster, [service]).get(service)
        except self._api.exceptions.ClusterNotFoundException as error:
            raise ServiceMissing(f"There is no ECS cluster {ecs_cluster}.") from error
        if found is None or found["status"] != "ACTIVE":
            raise ServiceMissing(f"ECS cluster {ecs_cluster} has no active service {service}.")
        return found

    def _stops(self, ecs_cluster: str, service: str, since: str) -> list[StoppedTask]:
        """Return tasks that stopped after ``since`` without a request, the newest first."""
        start = datetime.fromisoformat(since)
        found = [
            read_stopped(task)
            for task in self._reader.tasks(ecs_cluster, service, "STOPPED")
            if "stoppedAt" in task and task["stoppedAt"] >= start
        ]
        return sorted(
            (one for one in found if one.failed), key=lambda one: one.stopped_at, reverse=True
        )


def _reasons(stops: Sequence[StoppedTask]) -> tuple[str, ...]:
    return tuple(f"task {one.task_id}: {one.why}" for one in stops)


def _unplaced(found: Any, since: str) -> tuple[str, ...]:
    """Events about tasks that could not be placed, the newest first, each text once.

    ECS publishes the same text with each try, and of all reasons only the first are shown.
    """
    start = datetime.fromisoformat(since)
    found_texts = (
        event["message"]
        for event in found.get("events", ())[:10]
        if missing_capacity(event["message"]) and event["createdAt"] >= start
    )
    return tuple(dict.fromkeys(found_texts))


def _task(task: Any, protected: dict[str, datetime]) -> BrokerTask:
    until = protected.get(task["taskArn"])
    return BrokerTask(
        task_id=task_id(task["taskArn"]),
        address=address(task),
        status=task["lastStatus"],
        wanted=task["desiredStatus"] == "RUNNING",
        protected_until=epoch(until) if until is not None else 0,
        deployment=task.get("startedBy", ""),
        revision=task.get("taskDefinitionArn", ""),
        created_at=epoch(task["createdAt"]) if "createdAt" in task else 0,
    )
