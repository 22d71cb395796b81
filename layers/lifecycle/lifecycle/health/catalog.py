"""What a health check can find: one table of codes, severities and remedies.

``docs/health.md`` is generated from it and ``docs/runbook.md`` has an entry for every code; tests
refuse drift. Codes are API: events, messages, the HTTP API and dashboards carry them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verdict(StrEnum):
    """What a check says of a whole cluster, best first; the last one is never announced."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"
    PROVISIONING = "PROVISIONING"
    """It is being made, and was not healthy yet."""


class Severity(StrEnum):
    """What one finding says: a mere note, nothing known, something wrong, users are hit."""

    INFO = "INFO"
    UNKNOWN = "UNKNOWN"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"


VERDICT_OF: Final[Mapping[Severity, Verdict]] = {
    Severity.INFO: Verdict.HEALTHY,
    # What could not be seen is never called healthy.
    Severity.UNKNOWN: Verdict.DEGRADED,
    Severity.DEGRADED: Verdict.DEGRADED,
    Severity.DOWN: Verdict.DOWN,
}


def rank(level: Verdict | Severity) -> int:
    """Order verdicts among themselves, and severities; higher is worse."""
    return list(type(level)).index(level)


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that a check can find.

    ``title`` fits a phone's screen, ``expected`` is how it should be, ``remedy`` the first step.
    """

    code: str
    severity: Severity
    title: str
    expected: str
    remedy: str


_DOWN: Final = (
    Kind(
        "BROKERS_UNREACHABLE",
        Severity.DOWN,
        "no broker answers",
        "at least one broker shows the topology",
        "Look at the service's events and the brokers' log group.",
    ),
    Kind(
        "PARTITION_WITHOUT_LEADER",
        Severity.DOWN,
        "partitions have no healthy leader",
        "exactly one healthy leader for each partition",
        "Bring the missing brokers back; a partition needs a majority of its replicas.",
    ),
    Kind(
        "SERVICE_MISSING",
        Severity.DOWN,
        "an ECS service is gone",
        "the services that the stack names exist",
        "Compare the stack with what exists (drift) and bring the service back.",
    ),
    Kind(
        "DATABASE_DOWN",
        Severity.DOWN,
        "the database does not run",
        "Aurora serves, and the IAM user can log in",
        "Start the Aurora cluster, or look at its events in RDS.",
    ),
    Kind(
        "NO_HEALTHY_TARGET",
        Severity.DOWN,
        "a load balancer has no healthy broker",
        "every running broker is a healthy target",
        "Look at the targets' reasons, then at the brokers' log and the security groups.",
    ),
)

_DEGRADED: Final = (
    Kind(
        "BROKER_MISSING",
        Severity.DEGRADED,
        "brokers are missing",
        "every active member of the configuration is in the topology",
        "Look at the service's events and stopped tasks; ECS replaces a task by itself.",
    ),
    Kind(
        "BROKER_UNSTABLE",
        Severity.DEGRADED,
        "a broker is lost again and again",
        "no broker is lost three times within two hours",
        "Read why its tasks stopped (ECS, stopped tasks, their last log lines); replays that take "
        "longer than BrokerGraceSeconds need a longer one.",
    ),
    Kind(
        "BROKER_NOT_ACTIVE",
        Severity.DEGRADED,
        "brokers are neither in nor out",
        "every member is ACTIVE while no change is under way",
        "Start the scaling that was interrupted again; it follows or completes the change.",
    ),
    Kind(
        "BROKER_UNREACHABLE",
        Severity.DEGRADED,
        "brokers do not answer on their management port",
        "every broker in the topology answers on its management port",
        "Restart that broker alone with the restart machine.",
    ),
    Kind(
        "COORDINATOR_UNREACHABLE",
        Severity.DEGRADED,
        "the coordinator (lowest broker) does not answer",
        "the cluster configuration can be read through any broker",
        "Restart broker 0 alone with the restart machine; until it is back nothing can be scaled.",
    ),
    Kind(
        "MANAGEMENT_UNREACHABLE",
        Severity.DEGRADED,
        "the brokers' management port cannot be reached",
        "the function inside the VPC reaches every broker on its management port",
        "Check that the brokers' security group admits the functions' group on that port.",
    ),
    Kind(
        "PARTITION_WITH_TWO_LEADERS",
        Severity.DEGRADED,
        "partitions have more than one leader",
        "exactly one leader for each partition",
        "Usually gone by the next check; else look for a network split between the brokers.",
    ),
    Kind(
        "GATEWAYS_DISAGREE",
        Severity.DEGRADED,
        "gateways tell different topologies",
        "every gateway shows the same brokers, partitions and leaders, but for a moment",
        "Restart the broker that differs from the others, alone, with the restart machine; if it "
        "stays, look for a network split between the brokers (security group, zones).",
    ),
    Kind(
        "PARTITION_UNDER_REPLICATED",
        Severity.DEGRADED,
        "partitions have too few replicas",
        "as many replicas of each partition as the replication factor says",
        "Bring the missing brokers back, or scale again so that replicas are placed anew.",
    ),
    Kind(
        "PARTITION_UNHEALTHY",
        Severity.DEGRADED,
        "replicas of partitions are not healthy",
        "every replica of every partition is healthy",
        "Look at that broker's log for the partition; restart that broker alone with the restart "
        "machine if it does not recover.",
    ),
    Kind(
        "CHANGE_STUCK",
        Severity.DEGRADED,
        "a cluster change does not go on",
        "a change under way makes progress",
        "Start the broker that it waits for (the task count must cover it). Never cancel it.",
    ),
    Kind(
        "CHANGE_FAILED",
        Severity.DEGRADED,
        "the last cluster change failed",
        "the last change is COMPLETED",
        "Scale to the number of brokers that is wanted; it plans anew from what exists.",
    ),
    Kind(
        "EXPORTING_PAUSED",
        Severity.DEGRADED,
        "exporting is paused",
        "every leader's exporter phase is EXPORTING",
        "Resume it as the runbook says once what paused it, a backup most often, has ended; while "
        "it is paused, the log grows.",
    ),
    Kind(
        "EXPORTING_STOPPED",
        Severity.DEGRADED,
        "leaders do not export",
        "every leader's exporter phase is EXPORTING",
        "Look at the leader's log for exporter errors; restart that broker alone with the restart "
        "machine.",
    ),
    Kind(
        "EXPORTING_STUCK",
        Severity.DEGRADED,
        "exporting does not go on",
        "the exported position follows the processed one",
        "Look at the brokers' log for exporter errors, most often the database.",
    ),
    Kind(
        "VERSION_MIXED",
        Severity.DEGRADED,
        "brokers run different versions",
        "one version, but during a rolling update",
        "Start the provision machine again: it moves the remaining brokers, one at a time.",
    ),
    Kind(
        "DESIRED_COUNT_MISMATCH",
        Severity.DEGRADED,
        "ECS wants another number of brokers than the cluster has members",
        "the desired count is the number of members",
        "Start the scale machine with the number wanted: the operation that is named ended on its "
        "way there, or somebody changed the count by hand.",
    ),
    Kind(
        "SERVICE_CHANGED",
        Severity.DEGRADED,
        "a service is not as its definition",
        "both services have what the stack and their definitions say",
        "Plan provisioning without parameters: it names what differs; applied, it sets it back.",
    ),
    Kind(
        "SERVICE_BELOW_DESIRED_COUNT",
        Severity.DEGRADED,
        "fewer tasks run than are wanted",
        "as many running tasks as desired",
        "Look at the service's events: placement, image, health checks.",
    ),
    Kind(
        "CONNECTORS_STOPPED",
        Severity.DEGRADED,
        "no connectors run",
        "the connectors service has the tasks that the stack says",
        "Set the connectors' desired count again, or provision with Connectors 0 to mean it.",
    ),
    Kind(
        "DEPLOYMENT_FAILED",
        Severity.DEGRADED,
        "ECS gave a deployment up",
        "one completed deployment",
        "Read the circuit breaker's reason, remove the cause, provision again.",
    ),
    Kind(
        "DEPLOYMENT_SLOW",
        Severity.DEGRADED,
        "a deployment does not end",
        "a deployment ends within half an hour",
        "Look at the service's events and leftover task protection.",
    ),
    Kind(
        "BROKERS_AUTOSCALED",
        Severity.DEGRADED,
        "something scales the brokers by itself",
        "no active scalable target of Application Auto Scaling is the brokers' service",
        "Deregister it (aws application-autoscaling deregister-scalable-target) and scale with the "
        "scale machine: a count that is lowered stops brokers that hold partitions.",
    ),
    Kind(
        "TASK_CRASH_LOOP",
        Severity.DEGRADED,
        "tasks stop again and again",
        "fewer than three failed tasks in half an hour, or a service that is whole again",
        "Read the stop reasons and the last log lines of the stopped tasks.",
    ),
    Kind(
        "TASK_PROTECTION_STALE",
        Severity.DEGRADED,
        "tasks are protected for longer than any operation does",
        "protection only while an operation stops other tasks, and 15 minutes at most",
        "Take the protection away (aws ecs update-task-protection) when nobody needs it; until "
        "then ECS does not stop these tasks, and deployments wait.",
    ),
    Kind(
        "TARGETS_UNHEALTHY",
        Severity.DEGRADED,
        "targets of a load balancer are not healthy",
        "every running task is a healthy target",
        "Look at the targets' reasons, then at the tasks' readiness.",
    ),
    Kind(
        "DATABASE_UNREACHABLE",
        Severity.DEGRADED,
        "the database cannot be reached",
        "a login as the IAM user within seconds",
        "Check the database's events, its security group and the functions' subnets.",
    ),
    Kind(
        "DATABASE_LOGIN_REFUSED",
        Severity.DEGRADED,
        "the database refuses the brokers' user",
        "the IAM user can log in",
        "Start the provision machine again: its seed restores role and grants.",
    ),
    Kind(
        "DATABASE_GRANTS_MISSING",
        Severity.DEGRADED,
        "the brokers' user lacks privileges",
        "CONNECT on the database, USAGE and CREATE on schema public",
        "Start the provision machine again: its seed restores role and grants.",
    ),
    Kind(
        "DATABASE_CERTIFICATE",
        Severity.DEGRADED,
        "the database's certificate is not trusted",
        "a certificate of RDS for the endpoint's name",
        "See DatabaseTlsFailed in the runbook.",
    ),
    Kind(
        "EFS_MOUNT_TARGET_UNAVAILABLE",
        Severity.DEGRADED,
        "EFS mount targets are not available",
        "every mount target is available",
        "Look at the file system's mount targets in the zones named.",
    ),
    Kind(
        "SECRET_MISSING",
        Severity.DEGRADED,
        "secrets are gone or scheduled for deletion",
        "every secret that the stack names exists",
        "Restore the secret (aws secretsmanager restore-secret).",
    ),
    Kind(
        "CERTIFICATE_EXPIRING",
        Severity.DEGRADED,
        "the load balancers' certificate ends soon",
        "an issued certificate, valid for at least 14 days",
        "Renew it in Certificate Manager; check that its DNS validation record still exists.",
    ),
    Kind(
        "BACKUP_OLD",
        Severity.DEGRADED,
        "the last backup is old",
        "a completed backup of every partition in the last three hours",
        "Look at the brokers' log for backup errors and at the backup bucket's policy.",
    ),
    Kind(
        "BACKUP_DISABLED",
        Severity.DEGRADED,
        "backups are not enabled",
        "continuous backup, as the stack says",
        "Compare the running task definition with the stack's; provision again.",
    ),
    Kind(
        "LEASE_STALE",
        Severity.DEGRADED,
        "brokers do not renew their node id",
        "one fresh lease for each broker",
        "Look at that broker's log and its access to the node-id bucket; it will exit.",
    ),
    Kind(
        "LEASE_SHARED",
        Severity.DEGRADED,
        "one task holds several node ids",
        "every lease belongs to a task of its own",
        "Check that no other cluster uses the node-id bucket.",
    ),
    Kind(
        "STACK_FAILED",
        Severity.DEGRADED,
        "the stack is in a failed state",
        "a complete stack",
        "Start the provision machine again, or see StackNotUsable in the runbook.",
    ),
)

_UNKNOWN: Final = (
    Kind(
        "CREDENTIALS_REFUSED",
        Severity.UNKNOWN,
        "Camunda refuses the administrator's user",
        "the user of the secret AdminUserSecretArn is shown the topology",
        "Put the user's present password into that secret (aws secretsmanager put-secret-value), "
        "or let the cluster take basic authentication of that user again.",
    ),
    Kind(
        "SOURCE_UNAVAILABLE",
        Severity.UNKNOWN,
        "part of the cluster could not be seen",
        "every source answers in time",
        "Look at the reason; if it stays, at the check's functions, their roles and egress.",
    ),
    Kind(
        "TOPOLOGY_UNSUPPORTED",
        Severity.UNKNOWN,
        "the cluster has zones or several physical tenants",
        "one zone and one physical tenant",
        "Follow changes of such a cluster with Camunda's own API; findings on brokers and "
        "partitions hold, those on changes do not.",
    ),
    Kind(
        "STACK_NOT_READY",
        Severity.UNKNOWN,
        "the stack has no outputs yet",
        "the outputs by which a cluster is known",
        "Let the provision machine finish, or start it again.",
    ),
)

_NOTES: Final = (
    Kind(
        "OPERATION_RUNNING",
        Severity.INFO,
        "an operation is under way",
        "deviations that it explains are notes until it ends",
        "None: look at the operation.",
    ),
    Kind(
        "CHANGE_PENDING",
        Severity.INFO,
        "a cluster change is under way",
        "it ends by itself",
        "None, unless it stays: see CHANGE_STUCK.",
    ),
    Kind(
        "LEADERSHIP_IMBALANCED",
        Severity.INFO,
        "one broker leads more partitions than its share",
        "leaders are spread over the brokers",
        "Restart that broker alone with the restart machine, at a quiet time: others lead then.",
    ),
    Kind(
        "DEPLOYMENT_RUNNING",
        Severity.INFO,
        "ECS rolls a deployment out",
        "it ends by itself",
        "None, unless it stays: see DEPLOYMENT_SLOW.",
    ),
    Kind(
        "CONNECTORS_AUTOSCALED",
        Severity.INFO,
        "something scales the connectors by itself",
        "no scalable target is the connectors' service, or it is suspended",
        "None, if that is meant; the next provisioning sets the count to Connectors again.",
    ),
    Kind(
        "BROKER_LEFT",
        Severity.INFO,
        "a broker left by a scaling",
        "no broker was taken away within half an hour",
        "None: the operation that is named took it away.",
    ),
    Kind(
        "TASK_REPLACED",
        Severity.INFO,
        "a task failed and was replaced",
        "no failed task",
        "None for one; its reason is in the note.",
    ),
    Kind(
        "TASK_PROTECTED",
        Severity.INFO,
        "tasks are protected from scale-in",
        "protection only while scaling in",
        "It ends by itself; until then deployments wait for it.",
    ),
    Kind(
        "DATABASE_BUSY",
        Severity.INFO,
        "Aurora is being changed and answers",
        "status available",
        "None, unless it stays.",
    ),
    Kind(
        "STACK_CHANGING",
        Severity.INFO,
        "CloudFormation works on the stack",
        "a complete stack",
        "None: it ends by itself.",
    ),
    Kind(
        "NODE_ID_LEASES_NOT_IN_USE",
        Severity.INFO,
        "the brokers do not take their ids from the bucket",
        "leases in the node-id bucket from 8.9 on",
        "None where brokers have fixed ids.",
    ),
    Kind(
        "BACKUP_STATUS_UNSUPPORTED",
        Severity.INFO,
        "this version does not tell about backups",
        "a version that tells (from 8.9 on)",
        "None; look at the backup bucket.",
    ),
)

KINDS: Final[Mapping[str, Kind]] = {
    kind.code: kind for kind in (*_DOWN, *_DEGRADED, *_UNKNOWN, *_NOTES)
}
