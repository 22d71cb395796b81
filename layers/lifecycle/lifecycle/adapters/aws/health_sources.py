"""States of a cluster's parts in AWS, for the health check: quick, few calls, as plain JSON.

Clients give up after seconds: a check would rather know nothing of one part than be late for all.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.autoscaling import AwsScalableTargets
from lifecycle.adapters.aws.ecs_reader import (
    EcsReader,
    address,
    collector_status,
    described,
    read_deployments,
    read_stopped,
    task_id,
)
from lifecycle.adapters.aws.elbv2 import ElbTargetGroups
from lifecycle.adapters.aws.former_data import AwsFormerData
from lifecycle.adapters.aws.management_door import AwsManagementDoor
from lifecycle.adapters.aws.session import client, error_code
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.cluster.contract import ClusterOutputs

_READ_SECONDS: Final = 4
_ATTEMPTS: Final = 2
_SECRET_SECONDS: Final = 1800


class AwsHealthSources:
    """The ``HealthSources`` port on ECS, ELB, RDS, EFS, Secrets Manager and Certificate Manager.

    That a secret is there, and since when it has its value, is remembered for half an hour: these
    requests cost more than anything else here. ``monotonic`` gives the seconds of a clock that
    never goes back.
    """

    def __init__(self, control_stack: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._there: dict[str, tuple[float, str | None]] = {}
        self._ecs = EcsReader(read_timeout=_READ_SECONDS, attempts=_ATTEMPTS)
        self._groups = ElbTargetGroups(read_timeout=_READ_SECONDS, attempts=_ATTEMPTS)
        self._former = AwsFormerData(control_stack)
        self._door = AwsManagementDoor(
            control_stack, read_timeout=_READ_SECONDS, attempts=_ATTEMPTS
        )

    def services(self, ecs_cluster: str, brokers: str, connectors: str) -> dict[str, Any]:
        """Return both services; ``exists`` is false for a deleted one, true without a name."""
        found = self._ecs.services(ecs_cluster, [name for name in (brokers, connectors) if name])
        return {
            "brokers": _service(found.get(brokers)),
            "connectors": _service(found.get(connectors))
            | ({} if connectors else {"exists": True}),
        }

    def tasks(self, ecs_cluster: str, service: str) -> list[dict[str, Any]]:
        """Return the tasks of a service that start or run, with addresses."""
        return [
            {
                "task": task_id(task["taskArn"]),
                "address": address(task),
                "status": task["lastStatus"],
                "startedAt": _iso(task.get("startedAt")),
                "health": task.get("healthStatus", ""),
                "collector": collector_status(task),
            }
            for task in self._ecs.tasks(ecs_cluster, service, "RUNNING")
        ]

    def protected(self, ecs_cluster: str, brokers: str, connectors: str) -> list[dict[str, Any]]:
        """Return the tasks of both services with scale-in protection, and when it expires."""
        arns = [
            arn
            for service in (brokers, connectors)
            if service
            for arn in self._ecs.task_arns(ecs_cluster, service, "RUNNING")
        ]
        return [
            {"task": task_id(arn), "until": written(until)}
            for arn, until in self._ecs.protection(ecs_cluster, arns).items()
        ]

    def stops(self, ecs_cluster: str, brokers: str, connectors: str) -> list[dict[str, Any]]:
        """Return tasks of both services that stopped without a request; ECS keeps them 1 h."""
        return [
            {"service": name, "task": one.task_id, "at": one.stopped_at, "reason": one.why[:300]}
            for name, service in (("brokers", brokers), ("connectors", connectors))
            if service
            for one in map(read_stopped, self._ecs.tasks(ecs_cluster, service, "STOPPED"))
            if one.failed and one.stopped_at
        ]

    def autoscaling(self, ecs_cluster: str, brokers: str, connectors: str) -> list[dict[str, Any]]:
        """Return the scalable targets of both services, without suspended ones."""
        services = {brokers: "brokers", connectors: "connectors"}
        targets = AwsScalableTargets(read_timeout=_READ_SECONDS, attempts=_ATTEMPTS)
        return [
            {"service": services[one.service], "bounds": str(one), "resource": one.resource}
            for one in targets.of_services(ecs_cluster, [name for name in services if name])
            if not one.suspended
        ]

    def targets(self, target_group: str) -> list[dict[str, Any]]:
        """Return the targets of a group and their health as the load balancer reports it."""
        return [
            {"address": one.address, "state": one.state, "reason": one.reason}
            for one in self._groups.health(target_group)
        ]

    def database(self, cluster: str) -> dict[str, Any]:
        """Return the status of an Aurora cluster; ``absent`` when there is none.

        ``earliest`` and ``restorable`` are the first and the last moment to which it can be
        restored, the last one about five minutes ago while its continuous backups work; ``created``
        is when it was created, ``days`` how long its backups are kept. None where RDS returns none.
        https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Managing.Backups.html
        """
        api = client("rds", read_timeout=_READ_SECONDS, attempts=_ATTEMPTS)
        try:
            answer = api.describe_db_clusters(DBClusterIdentifier=cluster)
        except api.exceptions.DBClusterNotFoundFault:
            return {"status": "absent"}
        found = answer["DBClusters"][0]
        moments = {
            "restorable": found.get("LatestRestorableTime"),
            "earliest": found.get("EarliestRestorableTime"),
            "created": found.get("ClusterCreateTime"),
        }
        return {
            "status": found["Status"],
            **{name: written(at) if at else None for name, at in moments.items()},
            "days": found.get("BackupRetentionPeriod"),
        }

    def former(self, cluster: str, present: str) -> list[dict[str, Any]]:
        """Return the databases with a cluster's tags that it does not work with.

        ``created`` is when one was created, None where RDS does not show it; ``copy`` whether a
        restore made it to take a snapshot of it.
        """
        return [
            {
                "name": one.name,
                "status": one.status,
                "created": None if one.created is None else written(one.created),
                "copy": one.copy,
            }
            for one in self._former.databases(cluster, present)
        ]

    def mounts(self, file_system: str) -> list[dict[str, Any]]:
        """Return the mount targets of a file system."""
        api = client("efs", read_timeout=_READ_SECONDS, attempts=_ATTEMPTS)
        answer = api.describe_mount_targets(FileSystemId=file_system)
        return [
            {
                "zone": one.get("AvailabilityZoneName") or one["SubnetId"],
                "state": one["LifeCycleState"],
            }
            for one in answer["MountTargets"]
        ]

    def secrets(self, arns: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return whether secrets are there, and since when they have their values (none is read).

        By the names of their outputs.
        """
        return [{"name": name, **self._secret(arn)} for name, arn in arns.items()]

    def management(self, cluster: ClusterOutputs) -> dict[str, Any]:
        """Return what is open to the management API; of a load balancer that is gone, nothing."""
        seen = self._door.look(cluster)
        end = seen.end if seen is not None else None
        return {
            "opened": seen is not None and seen.opened,
            "until": written(end) if end is not None else None,
            "sources": [rule.source for rule in seen.rules] if seen is not None else [],
            "permanent": seen is not None and seen.permanent,
        }

    def certificate(self, arn: str) -> dict[str, Any]:
        """Return the status and expiry time of a certificate."""
        api = client("acm", read_timeout=_READ_SECONDS, attempts=_ATTEMPTS)
        found = api.describe_certificate(CertificateArn=arn)["Certificate"]
        return {"status": found["Status"], "notAfter": _iso(found.get("NotAfter"))}

    def _secret(self, arn: str) -> dict[str, Any]:
        now = self._monotonic()
        at, since = self._there.get(arn, (-math.inf, None))
        if now - at < _SECRET_SECONDS:
            return {"problem": "", "since": since}
        problem = _secret_problem(arn)
        if problem:
            return {"problem": problem, "since": None}
        since = _secret_since(arn)
        self._there[arn] = now, since
        return {"problem": "", "since": since}


def _service(found: Any) -> dict[str, Any]:
    if found is None or found["status"] != "ACTIVE":
        return {"exists": False, "desired": 0, "running": 0, "pending": 0, "deployments": []}
    return {
        "exists": True,
        "desired": found["desiredCount"],
        "running": found["runningCount"],
        "pending": found["pendingCount"],
        "deployments": [
            {
                "status": one.status,
                "rollout": one.rollout_state,
                "reason": one.rollout_reason,
                "startedAt": written(datetime.fromtimestamp(one.created_at, UTC))
                if one.created_at
                else None,
            }
            for one in read_deployments(found)
        ],
        "definition": described(found),
    }


def _secret_problem(arn: str) -> str:
    api = client("secretsmanager", read_timeout=_READ_SECONDS, attempts=_ATTEMPTS)
    try:
        found = api.describe_secret(SecretId=arn)
    except api.exceptions.ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return "it does not exist"
        raise
    deleted = found.get("DeletedDate")
    return f"it is scheduled for deletion since {deleted:%Y-%m-%d}" if deleted else ""


def _secret_since(arn: str) -> str | None:
    """Return when the version was made that is AWSCURRENT.

    LastChangedDate of a secret also moves with its tags and stages, LastRotatedDate only with
    Secrets Manager's own rotation:
    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
    """
    api = client("secretsmanager", read_timeout=_READ_SECONDS, attempts=_ATTEMPTS)
    for version in api.list_secret_version_ids(SecretId=arn).get("Versions", ()):
        if "AWSCURRENT" in version.get("VersionStages", ()):
            return _iso(version.get("CreatedDate"))
    return None


def _iso(at: datetime | None) -> str | None:
    return written(at) if at is not None else None
