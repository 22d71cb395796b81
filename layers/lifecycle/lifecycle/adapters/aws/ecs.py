"""Amazon ECS services and their tasks, and the logs that tasks leave."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.ecs_reader import (
    EcsReader,
    described,
    read_deployments,
    read_exec,
    read_stopped,
    task_id,
)
from lifecycle.adapters.aws.session import client, error_code, error_message
from lifecycle.errors import AwsUnavailable, ServiceDraining
from lifecycle.services.image_digests import Running
from lifecycle.services.startup import ENDED, LivingTask, Service, missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_ecs import ECSClient

    from lifecycle.cluster.access import ExecTask
    from lifecycle.services.stops import StoppedTask

_REVISIONS_PER_CALL: Final = 20


class EcsServices:
    """The ``Services`` port on ECS and CloudWatch Logs."""

    def __init__(self) -> None:
        self._reader = EcsReader()

    @property
    def _api(self) -> ECSClient:
        return self._reader.api

    def describe(self, ecs_cluster: str, names: Sequence[str]) -> Sequence[Service]:
        """Describe services, in the order of ``names``; one that does not exist is ``MISSING``."""
        try:
            found = self._reader.services(ecs_cluster, names, with_tags=True)
        except self._api.exceptions.ClusterNotFoundException:
            found = {}
        return [_service(found[name]) if name in found else missing(name) for name in names]

    def running_images(self, service: Service, container: str) -> Sequence[Running]:
        """Return the images that a container of a service runs, by its current revisions.

        A service's own container is called like the service. ECS resolves an image when the first
        task of a revision starts, and keeps no revision from before 25 October 2024:
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServiceRevisions.html
        """
        revisions = service.service_revisions[:_REVISIONS_PER_CALL]
        if not revisions:
            return [Running("", "", "ECS names no revision of the service")]
        try:
            answer = self._api.describe_service_revisions(serviceRevisionArns=list(revisions))
        except self._api.exceptions.AccessDeniedException as error:
            return [Running("", "", f"it may not be read: {error_message(error).rstrip('.')}")]
        found = [
            Running(
                one.get("image", ""),
                one.get("imageDigest", ""),
                "" if one.get("imageDigest") else "ECS has not resolved it",
            )
            for revision in answer["serviceRevisions"]
            for one in revision.get("containerImages", ())
            if one.get("containerName") == container
        ]
        found += [
            Running("", "", f"ECS does not describe revision {one.get('arn', '')}")
            for one in answer.get("failures", ())
        ]
        unique = list(dict.fromkeys(found))
        if not unique and container == service.name:
            return [Running("", "", "its revision has no container of its name")]
        return unique

    def create(self, definition: Mapping[str, Any]) -> None:
        """Create a service. Raises ``ServiceDraining`` while one of that name is being deleted.

        One that exists stays as it is; the next observation reads it. ECS has no error codes of
        their own for either, only messages: https://github.com/spinnaker/spinnaker/issues/5476
        """
        api = self._api
        try:
            api.create_service(**self._supported(definition))
        except api.exceptions.InvalidParameterException as error:
            message = str(error)
            if "not idempotent" in message:
                return
            if "service linked role" in message:
                # On an account's first service the role is there and not usable for a moment:
                # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html
                raise AwsUnavailable(message) from error
            if "raining" in message:
                raise ServiceDraining(
                    f"ECS still removes an earlier service {definition['serviceName']}."
                ) from error
            raise

    def update(
        self, ecs_cluster: str, name: str, properties: Mapping[str, Any], *, redeploy: bool = False
    ) -> None:
        """Set these properties in one call and leave the others as they are.

        A structure among them replaces the whole of what was there. ``redeploy`` begins a
        deployment even where no property does: it is not idempotent, so callers first
        check whether it exists.
        """
        forced: Any = {"forceNewDeployment": True} if redeploy else {}
        self._api.update_service(
            cluster=ecs_cluster, service=name, **self._supported(properties), **forced
        )

    def tag(self, ecs_cluster: str, name: str, tags: Mapping[str, str]) -> None:
        """Give a service exactly these tags, beside those that AWS sets itself."""
        answer = self._api.describe_services(cluster=ecs_cluster, services=[name], include=["TAGS"])
        (found,) = answer["services"]
        present = {tag["key"]: tag["value"] for tag in found.get("tags", ())}
        surplus = [key for key in present if key not in tags and not key.startswith("aws:")]
        if surplus:
            self._api.untag_resource(resourceArn=found["serviceArn"], tagKeys=surplus)
        changed: Any = [
            {"key": key, "value": value}
            for key, value in sorted(tags.items())
            if present.get(key) != value
        ]
        if changed:
            self._api.tag_resource(resourceArn=found["serviceArn"], tags=changed)

    def delete(self, ecs_cluster: str, name: str) -> None:
        """Delete a service that runs no task; never by force."""
        api = self._api
        with contextlib.suppress(
            api.exceptions.ServiceNotFoundException, api.exceptions.ClusterNotFoundException
        ):
            api.delete_service(cluster=ecs_cluster, service=name)

    def _supported(self, properties: Mapping[str, Any]) -> Any:
        """Leave out the circuit breaker's threshold where the SDK does not know it yet."""
        shapes = self._api.meta.service_model
        known = shapes.shape_for("DeploymentCircuitBreaker").members  # type: ignore[attr-defined]
        configuration = properties.get("deploymentConfiguration")
        if "thresholdConfiguration" in known or not configuration:
            return dict(properties)
        breaker = dict(configuration["deploymentCircuitBreaker"])
        breaker.pop("thresholdConfiguration", None)
        return {
            **properties,
            "deploymentConfiguration": {**configuration, "deploymentCircuitBreaker": breaker},
        }

    def set_count(self, ecs_cluster: str, name: str, count: int) -> None:
        """Set the desired count without a new deployment."""
        self._api.update_service(cluster=ecs_cluster, service=name, desiredCount=count)

    def stopped_tasks(self, ecs_cluster: str, name: str, since: str) -> Sequence[StoppedTask]:
        """Return the tasks of a service that stopped after ``since`` (ISO 8601, UTC)."""
        start = datetime.fromisoformat(since)
        return [
            read_stopped(task)
            for task in self._reader.tasks(ecs_cluster, name, "STOPPED")
            if "stoppedAt" in task and task["stoppedAt"] >= start
        ]

    def living_tasks(self, ecs_cluster: str, name: str) -> Sequence[LivingTask]:
        """Return the tasks of a service whose containers may run.

        ListTasks gives those that stop under the desired status STOPPED. It is called last, so that
        a task whose desired status changes in between is in one of the lists.
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html
        """
        running = self._reader.tasks(ecs_cluster, name, "RUNNING")
        stopping = self._reader.tasks(ecs_cluster, name, "STOPPED")
        by_id = {task_id(one["taskArn"]): one for one in (*running, *stopping)}
        return [
            LivingTask(task, one.get("startedBy", ""), one["lastStatus"])
            for task, one in by_id.items()
            if one["lastStatus"] not in ENDED
        ]

    def exec_tasks(self, ecs_cluster: str, name: str) -> Sequence[ExecTask]:
        """Return the running tasks of a service, with what ECS Exec needs of its own container."""
        return [read_exec(one, name) for one in self._reader.tasks(ecs_cluster, name, "RUNNING")]

    def last_log_lines(self, log_group: str, task_id: str, limit: int) -> Sequence[str]:
        """Return the last lines that a task logged; empty if there are none or no access."""
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
        definition=described(found),
        service_revisions=tuple(one["arn"] for one in found.get("currentServiceRevisions", ())),
    )
