"""Amazon ECS services and their tasks, and the logs that tasks leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws import client, error_code
from lifecycle.core.services import Deployment, Service, StoppedTask
from lifecycle.errors import ServiceMissing

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

_TASKS_PER_CALL: Final = 100


class EcsServices:
    """The ``Services`` port on ECS and CloudWatch Logs."""

    @property
    def _api(self) -> ECSClient:
        api: ECSClient = client("ecs")
        return api

    def describe(self, ecs_cluster: str, names: Sequence[str]) -> Sequence[Service]:
        """Describe services, in the order asked for. Raises ``ServiceMissing``."""
        try:
            answer = self._api.describe_services(cluster=ecs_cluster, services=list(names))
        except self._api.exceptions.ClusterNotFoundException as error:
            raise ServiceMissing(f"There is no ECS cluster {ecs_cluster}.") from error
        found = {service["serviceName"]: service for service in answer["services"]}
        missing = [name for name in names if name not in found]
        if missing:
            raise ServiceMissing(f"ECS cluster {ecs_cluster} has no service {', '.join(missing)}.")
        return [_service(found[name]) for name in names]

    def start(
        self, ecs_cluster: str, name: str, *, family: str, count: int, minimum_healthy: int
    ) -> None:
        """Start a service with a new deployment of the family's newest revision.

        A new deployment, because Service Connect gives a task its endpoints as they were when
        its deployment began, and because ECS's circuit breaker judges deployments only. The
        family is named, because without it ECS keeps the revision that the service has.
        """
        self._api.update_service(
            cluster=ecs_cluster,
            service=name,
            taskDefinition=family,
            desiredCount=count,
            forceNewDeployment=True,
            deploymentConfiguration=self._configuration(ecs_cluster, name, minimum_healthy),
        )

    def _configuration(self, ecs_cluster: str, name: str, minimum_healthy: int) -> Any:
        # UpdateService replaces the whole structure: what is not repeated goes back to a default.
        answer = self._api.describe_services(cluster=ecs_cluster, services=[name])
        present = dict(answer["services"][0].get("deploymentConfiguration", {}))
        return {**present, "minimumHealthyPercent": minimum_healthy}

    def newest_revision(self, family: str) -> str:
        """ARN of the newest active revision of a family."""
        answer = self._api.describe_task_definition(taskDefinition=family)
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def move(
        self,
        ecs_cluster: str,
        name: str,
        *,
        revision: str,
        minimum_healthy: int | None,
        force: bool,
    ) -> None:
        """Let the service run another revision, its count unchanged.

        Without ``force`` nothing happens where it runs that revision already. ``minimum_healthy``
        is in percent; None leaves it as it is.
        """
        changed: Any = {"forceNewDeployment": True} if force else {}
        if minimum_healthy is not None:
            changed["deploymentConfiguration"] = self._configuration(
                ecs_cluster, name, minimum_healthy
            )
        self._api.update_service(
            cluster=ecs_cluster, service=name, taskDefinition=revision, **changed
        )

    def set_count(self, ecs_cluster: str, name: str, count: int) -> None:
        """Set the desired count without a new deployment."""
        self._api.update_service(cluster=ecs_cluster, service=name, desiredCount=count)

    def stopped_tasks(self, ecs_cluster: str, name: str, since: str) -> Sequence[StoppedTask]:
        """Tasks of a service that stopped after ``since`` (ISO 8601, UTC)."""
        arns = self._api.list_tasks(cluster=ecs_cluster, serviceName=name, desiredStatus="STOPPED")[
            "taskArns"
        ][:_TASKS_PER_CALL]
        if not arns:
            return []
        tasks = self._api.describe_tasks(cluster=ecs_cluster, tasks=arns)["tasks"]
        start = datetime.fromisoformat(since)
        return [
            StoppedTask(
                task_id=task["taskArn"].rsplit("/", 1)[-1],
                stopped_at=task["stoppedAt"].isoformat(timespec="seconds"),
                stop_code=task.get("stopCode", ""),
                reason=task.get("stoppedReason", ""),
                containers=tuple(_container(c) for c in task.get("containers", ())),
            )
            for task in tasks
            if "stoppedAt" in task and task["stoppedAt"] >= start
        ]

    def last_log_lines(self, log_group: str, task_id: str, limit: int) -> Sequence[str]:
        """Last lines that a task logged; empty when there are none or they cannot be read."""
        logs = client("logs")
        try:
            streams = logs.describe_log_streams(
                logGroupName=log_group, orderBy="LastEventTime", descending=True, limit=50
            )["logStreams"]
            stream = next((s for s in streams if s["logStreamName"].endswith(task_id)), None)
            if stream is None:
                return []
            events = logs.get_log_events(
                logGroupName=log_group, logStreamName=stream["logStreamName"], limit=limit
            )["events"]
        except logs.exceptions.ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return []
            raise
        return [event["message"].rstrip()[:400] for event in events]


def read_deployments(found: Any) -> tuple[Deployment, ...]:
    """Read the deployments of a service as DescribeServices tells them."""
    return tuple(
        Deployment(
            deployment_id=d["id"],
            status=d["status"],
            rollout_state=d.get("rolloutState", ""),
            rollout_reason=d.get("rolloutStateReason", ""),
            failed_tasks=d.get("failedTasks", 0),
            running=d.get("runningCount", 0),
        )
        for d in found.get("deployments", ())
    )


def _service(found: Any) -> Service:
    return Service(
        name=found["serviceName"],
        status=found["status"],
        desired=found["desiredCount"],
        running=found["runningCount"],
        pending=found["pendingCount"],
        deployments=read_deployments(found),
        revision=found.get("taskDefinition", ""),
        events=tuple(event["message"] for event in found.get("events", ())[:10]),
    )


def _container(container: Any) -> str:
    exit_code = container.get("exitCode")
    parts = [container.get("name", "container")]
    if exit_code is not None:
        parts.append(f"exit code {exit_code}")
    if container.get("reason"):
        parts.append(container["reason"])
    return ", ".join(parts)
