"""Tasks that restore brokers. Sources: the API references of RunTask, ListTasks and DescribeTasks.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.ecs_reader import EcsReader, task_id
from lifecycle.adapters.aws.session import error_code, error_message
from lifecycle.errors import AwsUnavailable, RestoreFailed
from lifecycle.restore.ports import RestoreTask
from lifecycle.services.definition import BROKERS
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mypy_boto3_ecs import ECSClient

    from lifecycle.cluster.contract import ClusterOutputs

_STARTED_PER_CALL: Final = 10
_DESCRIBED_PER_CALL: Final = 100
# What ECS takes again later.
_LATER: Final = frozenset({"ThrottlingException", "ServerException", "LimitExceededException"})


class EcsRestoreTasks:
    """The ``RestoreTasks`` port on ECS."""

    def __init__(self) -> None:
        self._reader = EcsReader()

    @property
    def _api(self) -> ECSClient:
        return self._reader.api

    def run(
        self,
        cluster: ClusterOutputs,
        *,
        count: int,
        environment: Mapping[str, str],
        started_by: str,
        token: str,
        tags: Mapping[str, str],
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Start tasks of the brokers' revision in their network, with more environment."""
        started: list[str] = []
        refused: list[str] = []
        override: Any = {
            "name": BROKERS,
            "environment": [
                {"name": name, "value": value} for name, value in sorted(environment.items())
            ],
        }
        listed: Any = [{"key": key, "value": value} for key, value in sorted(tags.items())]
        for number, few in enumerate(
            itertools.batched(range(count), _STARTED_PER_CALL, strict=False)
        ):
            try:
                answer = self._api.run_task(
                    cluster=cluster.ecs_cluster,
                    taskDefinition=cluster.required("OrchestrationTaskDefinitionArn"),
                    count=len(few),
                    launchType="FARGATE",
                    networkConfiguration={
                        "awsvpcConfiguration": {
                            "subnets": cluster.required("PrivateSubnetIds").split(","),
                            "securityGroups": [cluster.required("BrokerSecurityGroupId")],
                            "assignPublicIp": "DISABLED",
                        }
                    },
                    overrides={"containerOverrides": [override]},
                    startedBy=started_by,
                    # At most 64 characters; the same for the same tasks alone.
                    clientToken=hashlib.sha256(f"{token}/{number}/{len(few)}".encode()).hexdigest(),
                    enableECSManagedTags=True,
                    tags=listed,
                )
            except self._api.exceptions.ClientError as error:
                if error_code(error) in _LATER:
                    raise AwsUnavailable(f"ECS starts no task: {error_message(error)}") from error
                raise RestoreFailed(
                    f"ECS started no task that restores: {error_code(error)}, "
                    f"{error_message(error)}"
                ) from error
            started += [task_id(one["taskArn"]) for one in answer["tasks"]]
            refused += [
                str(one.get("reason") or one.get("detail") or "ECS gives no reason")
                for one in answer.get("failures", ())
            ]
        return started, refused

    def list(
        self, ecs_cluster: str, started_by: str, known: Collection[str]
    ) -> Sequence[RestoreTask]:
        """Return the tasks that were started so and run, and those of ids that are known.

        ListTasks takes no other filter beside ``startedBy``: ECS lists what is to run.
        """
        pages = self._api.get_paginator("list_tasks").paginate(
            cluster=ecs_cluster, startedBy=started_by
        )
        running = {task_id(arn) for page in pages for arn in page["taskArns"]}
        found = [
            one
            for few in itertools.batched(
                sorted(running | set(known)), _DESCRIBED_PER_CALL, strict=False
            )
            for one in self._api.describe_tasks(cluster=ecs_cluster, tasks=list(few))["tasks"]
        ]
        return [_task(one) for one in found if one.get("startedBy") == started_by]

    def stop(self, ecs_cluster: str, task_id: str, reason: str) -> None:
        """Stop a task; one that ECS does not know any more is no error."""
        try:
            self._api.stop_task(cluster=ecs_cluster, task=task_id, reason=reason)
        except self._api.exceptions.InvalidParameterException:
            return


def _task(found: Any) -> RestoreTask:
    own: Any = next((one for one in found.get("containers", ()) if one.get("name") == BROKERS), {})
    reasons = (found.get("stoppedReason", ""), own.get("reason", ""))
    return RestoreTask(
        task_id=task_id(found["taskArn"]),
        status=found.get("lastStatus", ""),
        created_at=epoch(found["createdAt"]) if "createdAt" in found else 0,
        exit_code=own.get("exitCode"),
        reason="; ".join(one for one in reasons if one),
    )
