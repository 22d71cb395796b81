"""Findings of the health check: one table of codes, severities and remedies.

``docs/health.md`` is generated from it and ``docs/runbook.md`` has an entry for every code; tests
prevent drift. Codes are API: events, messages, the HTTP API and dashboards use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verdict(StrEnum):
    """The result of a check for a whole cluster, best first; the last one is never notified of."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"
    PROVISIONING = "PROVISIONING"
    """It is being created and has not been healthy yet."""


class Severity(StrEnum):
    """Severity of one finding: a note, state unknown, degraded, users are affected."""

    INFO = "INFO"
    UNKNOWN = "UNKNOWN"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"


VERDICT_OF: Final[Mapping[Severity, Verdict]] = {
    Severity.INFO: Verdict.HEALTHY,
    # A state that could not be read is never reported as healthy.
    Severity.UNKNOWN: Verdict.DEGRADED,
    Severity.DEGRADED: Verdict.DEGRADED,
    Severity.DOWN: Verdict.DOWN,
}


def rank(level: Verdict | Severity) -> int:
    """Order verdicts among themselves, and severities; higher is worse."""
    return list(type(level)).index(level)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding.

    ``title`` fits a phone's screen, ``expected`` is the healthy state, ``remedy`` the first step.
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
        "at least one broker returns the topology",
        "Check the service's events and the brokers' log group.",
    ),
    Kind(
        "PARTITION_WITHOUT_LEADER",
        Severity.DOWN,
        "partitions have no healthy leader",
        "exactly one healthy leader for each partition",
        "Restore the missing brokers; a partition needs a majority of its replicas.",
    ),
    Kind(
        "SERVICE_MISSING",
        Severity.DOWN,
        "an ECS service is missing",
        "the services in the stack's outputs exist",
        "Provision again, also without parameters: that creates the service.",
    ),
    Kind(
        "DATABASE_DOWN",
        Severity.DOWN,
        "the database is not running",
        "Aurora is available, and the IAM user can log in",
        "Start the Aurora cluster, or check its events in RDS.",
    ),
    Kind(
        "NO_HEALTHY_TARGET",
        Severity.DOWN,
        "a load balancer has no healthy broker",
        "every running broker is a healthy target",
        "Check the targets' reason codes, then the brokers' log and the security groups.",
    ),
)

_DEGRADED: Final = (
    Kind(
        "BROKER_MISSING",
        Severity.DEGRADED,
        "brokers are missing",
        "every active member of the cluster configuration is in the topology",
        "Check the service's events and stopped tasks; ECS replaces a task automatically.",
    ),
    Kind(
        "BROKER_UNSTABLE",
        Severity.DEGRADED,
        "a broker is lost repeatedly",
        "no broker is lost three times within two hours",
        "Check why its tasks stopped (ECS, stopped tasks, their last log lines); if replays take "
        "longer than BrokerGraceSeconds, increase it.",
    ),
    Kind(
        "BROKER_NOT_ACTIVE",
        Severity.DEGRADED,
        "brokers are stuck in JOINING or LEAVING",
        "every member is ACTIVE while no change is in progress",
        "Start the interrupted scaling again; it follows or completes the change.",
    ),
    Kind(
        "BROKER_UNREACHABLE",
        Severity.DEGRADED,
        "brokers do not respond on their management port",
        "every broker in the topology responds on its management port",
        "Restart that broker alone with the restart machine.",
    ),
    Kind(
        "COORDINATOR_UNREACHABLE",
        Severity.DEGRADED,
        "the coordinator (lowest broker) does not respond",
        "the cluster configuration can be read through any broker",
        "Restart broker 0 alone with the restart machine; scaling is not possible until then.",
    ),
    Kind(
        "MANAGEMENT_UNREACHABLE",
        Severity.DEGRADED,
        "the brokers' management port cannot be reached",
        "the function inside the VPC reaches every broker on its management port",
        "Check that the brokers' security group allows the functions' group on that port.",
    ),
    Kind(
        "PARTITION_WITH_TWO_LEADERS",
        Severity.DEGRADED,
        "partitions have more than one leader",
        "exactly one leader for each partition",
        "Usually resolved by the next check; if not, look for a network split between brokers.",
    ),
    Kind(
        "GATEWAYS_DISAGREE",
        Severity.DEGRADED,
        "gateways return different topologies",
        "every gateway returns the same brokers, partitions and leaders, except briefly",
        "Restart the broker that differs from the others, alone, with the restart machine; if the "
        "finding stays, look for a network split between brokers (security group, zones).",
    ),
    Kind(
        "PARTITION_UNDER_REPLICATED",
        Severity.DEGRADED,
        "partitions have too few replicas",
        "as many replicas of each partition as the replication factor",
        "Restore the missing brokers, or scale again so that replicas are redistributed.",
    ),
    Kind(
        "PARTITION_UNHEALTHY",
        Severity.DEGRADED,
        "replicas of partitions are not healthy",
        "every replica of every partition is healthy",
        "Check that broker's log for the partition; if it does not recover, restart that broker "
        "alone with the restart machine.",
    ),
    Kind(
        "CHANGE_STUCK",
        Severity.DEGRADED,
        "a cluster change makes no progress",
        "a change in progress completes its steps",
        "Start the scaling again: it starts the broker that the change waits for. Never cancel it.",
    ),
    Kind(
        "CHANGE_FAILED",
        Severity.DEGRADED,
        "the last cluster change failed",
        "the last change is COMPLETED",
        "Scale to the intended number of brokers; the change is planned from the current state.",
    ),
    Kind(
        "EXPORTING_PAUSED",
        Severity.DEGRADED,
        "exporting is paused",
        "every leader's exporter phase is EXPORTING",
        "Once the cause of the pause (usually a backup) has ended, resume it as described in the "
        "runbook; the log grows while exporting is paused.",
    ),
    Kind(
        "EXPORTING_STOPPED",
        Severity.DEGRADED,
        "leaders do not export",
        "every leader's exporter phase is EXPORTING",
        "Check the leader's log for exporter errors; restart that broker alone with the restart "
        "machine.",
    ),
    Kind(
        "EXPORTING_STUCK",
        Severity.DEGRADED,
        "exporting makes no progress",
        "the exported position follows the processed one",
        "Check the brokers' log for exporter errors; the usual cause is the database.",
    ),
    Kind(
        "VERSION_MIXED",
        Severity.DEGRADED,
        "brokers run different versions",
        "one version, except during a rolling update",
        "Start the provision machine again: it updates the remaining brokers one at a time.",
    ),
    Kind(
        "DESIRED_COUNT_MISMATCH",
        Severity.DEGRADED,
        "the desired count differs from the number of cluster members",
        "the desired count equals the number of members",
        "Start the scale machine with the intended number: the operation named ended early, or "
        "the count was changed manually.",
    ),
    Kind(
        "SERVICE_CHANGED",
        Severity.DEGRADED,
        "a service differs from its definition",
        "both services match the stack and their definitions",
        "Plan provisioning without parameters: it lists the differences; applying it reverts them.",
    ),
    Kind(
        "SERVICE_BELOW_DESIRED_COUNT",
        Severity.DEGRADED,
        "fewer tasks run than desired",
        "as many running tasks as desired",
        "Check the service's events: placement, image, health checks.",
    ),
    Kind(
        "CONNECTORS_STOPPED",
        Severity.DEGRADED,
        "no connectors task runs",
        "the connectors service runs the stack's number of tasks",
        "Provision again, which restores their count; with Connectors 0 if intended.",
    ),
    Kind(
        "DEPLOYMENT_FAILED",
        Severity.DEGRADED,
        "ECS marked a deployment as failed",
        "one completed deployment",
        "Read the circuit breaker's reason, fix the cause, provision again.",
    ),
    Kind(
        "DEPLOYMENT_SLOW",
        Severity.DEGRADED,
        "a deployment does not complete",
        "a deployment completes within half an hour",
        "Check the service's events and leftover task protection.",
    ),
    Kind(
        "BROKERS_AUTOSCALED",
        Severity.DEGRADED,
        "autoscaling is attached to the brokers",
        "no active scalable target of Application Auto Scaling for the brokers' service",
        "Deregister it (aws application-autoscaling deregister-scalable-target) and scale with the "
        "scale machine: lowering the count stops brokers that hold partitions.",
    ),
    Kind(
        "TASK_CRASH_LOOP",
        Severity.DEGRADED,
        "tasks stop repeatedly",
        "fewer than three failed tasks in half an hour, or a service that has recovered",
        "Read the stop reasons and the last log lines of the stopped tasks.",
    ),
    Kind(
        "TASK_PROTECTION_STALE",
        Severity.DEGRADED,
        "tasks are protected longer than any operation needs",
        "protection only while an operation stops other tasks, and 15 minutes at most",
        "Remove the protection (aws ecs update-task-protection) if it is no longer needed; until "
        "then ECS does not stop these tasks, and deployments wait.",
    ),
    Kind(
        "TARGETS_UNHEALTHY",
        Severity.DEGRADED,
        "targets of a load balancer are not healthy",
        "every running task is a healthy target",
        "Check the targets' reason codes, then the tasks' readiness.",
    ),
    Kind(
        "DATABASE_UNREACHABLE",
        Severity.DEGRADED,
        "the database cannot be reached",
        "the IAM user can log in within seconds",
        "Check the database's events, its security group and the functions' subnets.",
    ),
    Kind(
        "DATABASE_LOGIN_REFUSED",
        Severity.DEGRADED,
        "the database rejects the brokers' user",
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
        "a certificate issued by RDS for the endpoint's name",
        "See DatabaseTlsFailed in the runbook.",
    ),
    Kind(
        "EFS_MOUNT_TARGET_UNAVAILABLE",
        Severity.DEGRADED,
        "EFS mount targets are not available",
        "every mount target is available",
        "Check the file system's mount targets in the zones named.",
    ),
    Kind(
        "SECRET_MISSING",
        Severity.DEGRADED,
        "secrets are deleted or scheduled for deletion",
        "every secret in the stack's outputs exists",
        "Restore the secret (aws secretsmanager restore-secret).",
    ),
    Kind(
        "CERTIFICATE_EXPIRING",
        Severity.DEGRADED,
        "the load balancers' certificate expires soon",
        "an issued certificate, valid for at least 14 days",
        "Renew it in Certificate Manager; check that its DNS validation record still exists.",
    ),
    Kind(
        "MANAGEMENT_OPEN_TOO_LONG",
        Severity.DEGRADED,
        "the management API is open beyond its end",
        "nothing that was opened for a limited time is open after its end",
        "Close it (camunda-ecs close-management), and check why CloseWays did not: its dead "
        "letters and its log.",
    ),
    Kind(
        "IDENTITY_PROVIDER_UNREACHABLE",
        Severity.DEGRADED,
        "the identity provider cannot be reached",
        "its configuration document, keys and token endpoint answer inside the VPC",
        "Check the provider, and the VPC's way to it on port 443 (NAT gateway or endpoint); until "
        "then new logins fail, and so does a broker that starts.",
    ),
    Kind(
        "ISSUER_DIFFERS",
        Severity.DEGRADED,
        "the identity provider differs from the stack",
        "its document names the stack's issuer and token endpoint, and keys that Camunda verifies",
        "Compare the document with OidcIssuer and OidcTokenUrl; correct the provider, or plan with "
        "its present values.",
    ),
    Kind(
        "BACKUP_OLD",
        Severity.DEGRADED,
        "the last backup is old",
        "a completed backup of every partition within three intervals of BackupSchedule, or within "
        "an hour if that is longer",
        "Check the brokers' log for backup errors, and the backup bucket's policy.",
    ),
    Kind(
        "BACKUP_GAP",
        Severity.INFO,
        "the brokers' backups have a gap",
        "one unbroken range of backups for each partition",
        "Find in the brokers' log why backups failed at that time; no moment within the gap can be "
        "restored. Nothing closes it.",
    ),
    Kind(
        "BACKUP_OTHER_PARTITIONS",
        Severity.DEGRADED,
        "the last backups have another number of partitions",
        "a backup of exactly the cluster's partitions: a restore needs their number",
        "Wait for the next backup (BackupSchedule); if it lacks a partition too, check the log of "
        "that partition's leader.",
    ),
    Kind(
        "RESTORE_WINDOW_SHORT",
        Severity.DEGRADED,
        "less can be restored than backups are kept for",
        "Aurora and the brokers' backups reach back for the shorter of their retention periods, "
        "and overlap",
        "Compare the retention of Aurora with DatabaseBackupRetentionDays, and the oldest backup "
        "with BackupRetentionDays; set Aurora's back if it was changed by hand.",
    ),
    Kind(
        "REHEARSAL_FAILED",
        Severity.DEGRADED,
        "the last rehearsal of a restore failed",
        "the last rehearsal showed that a backup comes back",
        "Read the report of the operation named, mend the cause, and rehearse again (camunda-ecs "
        "rehearse); do not rely on the backups until one succeeds.",
    ),
    Kind(
        "REHEARSAL_OLD",
        Severity.DEGRADED,
        "the last rehearsal of a restore is old",
        "with RehearsalSchedule, a rehearsal within its interval and a week",
        "Start one by request (camunda-ecs rehearse): one by schedule is left out while the "
        "cluster is not free. What could not be started is in the queue HealthDeadLetters.",
    ),
    Kind(
        "FORMER_DATA_EXPIRED",
        Severity.DEGRADED,
        "what a restore has replaced is kept for longer than FormerDataDays",
        "a former database is deleted after FormerDataDays, once it is not needed",
        "Decide whether the state from before the restore is still needed: delete it "
        "(camunda-ecs delete-former-data), or raise FormerDataDays. Nothing deletes it "
        "automatically.",
    ),
    Kind(
        "BACKUP_DISABLED",
        Severity.DEGRADED,
        "backups are not enabled",
        "continuous backup, as configured in the stack",
        "Compare the running task definition with the stack's; provision again.",
    ),
    Kind(
        "LEASE_STALE",
        Severity.DEGRADED,
        "brokers do not renew their node-id lease",
        "one fresh lease for each broker",
        "Check that broker's log and its access to the node-id bucket; it will exit.",
    ),
    Kind(
        "LEASE_SHARED",
        Severity.DEGRADED,
        "one task holds several node ids",
        "every lease belongs to a different task",
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
        "Camunda rejects the administrator's credentials",
        "the user of the secret AdminUserSecretArn, or the health client of the identity provider, "
        "can read the topology",
        "Put the user's current password into that secret (aws secretsmanager put-secret-value), "
        "or enable basic authentication for that user again; with an identity provider, add the "
        "health client to its role again.",
    ),
    Kind(
        "TOKEN_REFUSED",
        Severity.UNKNOWN,
        "the identity provider rejects the health client",
        "the client OidcHealthClientId gets a token with the secret OidcHealthSecretArn",
        "Put the client's present secret into that secret (aws secretsmanager put-secret-value), "
        "and compare its tags, scope and audience with its registration.",
    ),
    Kind(
        "TOKEN_NOT_ACCEPTED",
        Severity.UNKNOWN,
        "Camunda rejects the health client's token",
        "every broker accepts the token of the client OidcHealthClientId",
        "Compare the brokers' settings with the provider's issuer, audiences and claims (see the "
        "runbook); brokers that still log in users themselves are replaced by provisioning again.",
    ),
    Kind(
        "SOURCE_UNAVAILABLE",
        Severity.UNKNOWN,
        "part of the cluster could not be checked",
        "every source responds in time",
        "Check the reason; if it stays, the check's functions, their roles and egress.",
    ),
    Kind(
        "TOPOLOGY_UNSUPPORTED",
        Severity.UNKNOWN,
        "the cluster has zones or several physical tenants",
        "one zone and one physical tenant",
        "Follow changes of such a cluster with Camunda's own API; findings on brokers and "
        "partitions are valid, those on changes are not.",
    ),
    Kind(
        "STACK_NOT_READY",
        Severity.UNKNOWN,
        "the stack has no outputs yet",
        "the outputs that identify a cluster",
        "Let the provision machine finish, or start it again.",
    ),
)

_NOTES: Final = (
    Kind(
        "MANAGEMENT_OPEN",
        Severity.INFO,
        "the management API is open for a limited time",
        "it is closed at the end that is named",
        "None, or close it before (camunda-ecs close-management).",
    ),
    Kind(
        "OPERATION_RUNNING",
        Severity.INFO,
        "an operation is in progress",
        "deviations explained by it are notes until it ends",
        "None: see the operation.",
    ),
    Kind(
        "CHANGE_PENDING",
        Severity.INFO,
        "a cluster change is in progress",
        "it completes automatically",
        "None, unless it stays: see CHANGE_STUCK.",
    ),
    Kind(
        "LEADERSHIP_IMBALANCED",
        Severity.INFO,
        "one broker leads more partitions than its share",
        "leaders are spread over the brokers",
        "Restart that broker alone with the restart machine at a quiet time: leadership moves.",
    ),
    Kind(
        "DEPLOYMENT_RUNNING",
        Severity.INFO,
        "an ECS deployment is in progress",
        "it completes automatically",
        "None, unless it stays: see DEPLOYMENT_SLOW.",
    ),
    Kind(
        "CONNECTORS_AUTOSCALED",
        Severity.INFO,
        "autoscaling is attached to the connectors",
        "the connectors' service is no scalable target, or it is suspended",
        "None, if intended; the next provisioning resets the count to Connectors.",
    ),
    Kind(
        "BROKER_LEFT",
        Severity.INFO,
        "a broker was removed by scaling in",
        "no broker was removed within half an hour",
        "None: the operation named removed it.",
    ),
    Kind(
        "TASK_REPLACED",
        Severity.INFO,
        "a task failed and was replaced",
        "no failed task",
        "None for a single task; its reason is in the note.",
    ),
    Kind(
        "TASK_PROTECTED",
        Severity.INFO,
        "tasks are protected from scale-in",
        "protection only while an operation stops other tasks",
        "None: it expires automatically; deployments wait until then.",
    ),
    Kind(
        "COLLECTOR_STOPPED",
        Severity.INFO,
        "a broker's metrics are not collected",
        "with a PrometheusWorkspaceArn, a collector runs beside each broker",
        "Check the last log lines of the collector; restart the broker to start it again.",
    ),
    Kind(
        "SECRET_OLD",
        Severity.INFO,
        "passwords were not rotated for long",
        "every password is younger than SecretAgeDays",
        "Rotate them with the rotate machine; connectors keep working, clients that log in as the "
        "administrator need its new password. Renew a client's secret at its identity provider, "
        "then put it into the secret.",
    ),
    Kind(
        "FORMER_DATA",
        Severity.INFO,
        "what a restore has replaced is kept",
        "none, or a former database until FormerDataDays have passed",
        "Delete it with camunda-ecs delete-former-data when it is not needed any more: Aurora "
        "charges for its storage. A restore to a moment before the last one needs it.",
    ),
    Kind(
        "DATABASE_BUSY",
        Severity.INFO,
        "Aurora is being modified and responds",
        "status available",
        "None, unless it stays.",
    ),
    Kind(
        "STACK_CHANGING",
        Severity.INFO,
        "a CloudFormation operation is in progress",
        "a complete stack",
        "None: it completes automatically.",
    ),
    Kind(
        "CLUSTER_FROZEN",
        Severity.INFO,
        "the cluster is frozen: every change is rejected",
        "not frozen",
        "Once the reason no longer applies, lift the freeze.",
    ),
    Kind(
        "NODE_ID_LEASES_NOT_IN_USE",
        Severity.INFO,
        "the brokers do not use node-id leases from the bucket",
        "leases in the node-id bucket from 8.9 on",
        "None where brokers have fixed ids.",
    ),
    Kind(
        "BACKUP_STATUS_UNSUPPORTED",
        Severity.INFO,
        "this Camunda version does not expose backup status",
        "a version that exposes it (from 8.9 on)",
        "None; check the backup bucket.",
    ),
)

KINDS: Final[Mapping[str, Kind]] = {
    kind.code: kind for kind in (*_DOWN, *_DEGRADED, *_UNKNOWN, *_NOTES)
}
