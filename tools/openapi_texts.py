"""Texts of the OpenAPI document: of each route its tag, description, example and refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.access import ExecTask, access
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping

TAGS: Final[Mapping[str, str]] = {
    "Clusters": "What clusters there are and how they are",
    "Changes": "What changes a cluster; each is an operation",
    "Plans": "What a change would do, before it is made",
    "Operations": "Running and ended operations",
}
_STARTING: Final = (
    *("ClusterNotFound", "ClusterBusy", "ClusterFrozen", "StackNotUsable", "ClusterChanged"),
    *("RequestTooLarge", "UnsupportedMediaType", "IdempotencyKeyReused"),
)
_OPERATION: Final[Mapping[str, Any]] = {
    "operationId": "demo.scale.four",
    "cluster": "demo",
    "kind": "scale",
    "status": "RUNNING",
    "startedAt": "2026-01-31T12:00:00.000Z",
    "endedAt": None,
    "startedBy": "arn:aws:iam::123456789012:user/ada",
    "execution": "arn:aws:states:eu-central-1:123456789012:execution:camunda-lifecycle-scale:"
    "demo.scale.four",
    "progress": {"done": 0, "planned": 5, "step": None, "detail": None, "timeline": []},
    "result": None,
    "error": None,
    "reportKey": None,
    "changedAt": None,
    "cancelledBy": None,
    "resumedBy": None,
}
_LINE: Final = {
    name: _OPERATION[name]
    for name in (
        *("operationId", "cluster", "kind", "status", "startedAt", "endedAt", "startedBy"),
        "execution",
    )
}
_HEAD: Final[Mapping[str, Any]] = {
    "name": "demo",
    "stack": "camunda-lifecycle-demo",
    "status": "UPDATE_COMPLETE",
    "frozen": None,
    "restUrl": "https://camunda.example.com",
    "grpcEndpoint": "grpc.camunda.example.com:26500",
}
_LEFT: Final[Mapping[str, Any]] = {
    "cluster": "demo",
    "things": [
        {
            "kind": "bucket with the brokers' backups",
            "id": "camunda-lifecycle-demo-backupbucket-1m7drbz7vgbsf",
            "arn": "arn:aws:s3:::camunda-lifecycle-demo-backupbucket-1m7drbz7vgbsf",
        }
    ],
    "snapshots": [
        {
            "name": "camunda-lifecycle-demo-databasecluster-backup-1769860500000",
            "status": "available",
            "at": "2026-01-31T11:55:00.000Z",
            "engineVersion": "16.8",
        }
    ],
}
_FREEZING: Final[Mapping[str, Any]] = {
    "frozen": "frozen since 2026-01-31T12:00:00Z by arn:aws:iam::123456789012:user/ada: audit",
    "freeze": {
        "reason": "audit",
        "since": "2026-01-31T12:00:00Z",
        "by": "arn:aws:iam::123456789012:user/ada",
    },
    "operationId": None,
}


_TASK: Final = "0f5c1b8a9d3e4f67a1b2c3d4e5f60718"
_ACCESS: Final = access(
    Stack(
        "camunda-lifecycle-demo",
        "arn:aws:cloudformation:eu-central-1:123456789012:stack/camunda-lifecycle-demo/1",
        "UPDATE_COMPLETE",
        parameters={"LoadBalancerScheme": "internal", "AllowedCidrs": "10.20.0.0/16"},
        outputs=ClusterOutputs(
            {
                "EcsClusterName": "camunda-lifecycle-demo",
                "EnableExecuteCommand": "true",
                "RestUrl": _HEAD["restUrl"],
                "GrpcEndpoint": _HEAD["grpcEndpoint"],
                "WebLoadBalancerDnsName": "internal-demo-web-1.eu-central-1.elb.amazonaws.com",
                "GrpcLoadBalancerDnsName": "demo-grpc-1.elb.eu-central-1.amazonaws.com",
                "AdminUserSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
                "AdminUserSecret-1a2b3c",
            }
        ),
    ),
    [ExecTask(_TASK, f"{_TASK}-0527074092", "RUNNING", "RUNNING")],
)


@dataclass(frozen=True, slots=True)
class Text:
    """Of one route. ``body`` is an example of its request, ``answer`` of its response."""

    tag: str
    description: str
    answer: Mapping[str, Any]
    errors: tuple[str, ...] = ()
    body: Mapping[str, Any] | None = None


TEXTS: Final[Mapping[str, Text]] = {
    "listClusters": Text(
        "Clusters",
        "Clusters of this control plane by the names of their stacks, with what the last health "
        "check found. No broker is queried.",
        {
            "clusters": [
                {
                    **_HEAD,
                    "verdict": "HEALTHY",
                    "checkedAt": "2026-01-31T12:00:00.000Z",
                    "brokers": {"declared": 3, "joined": 3},
                    "version": "8.9.16",
                    "operation": None,
                    "monthlyCost": "1034.18",
                }
            ],
            "next": None,
        },
    ),
    "readCluster": Text(
        "Clusters",
        "What CloudFormation, ECS and Camunda show of a cluster. A source that does not respond is "
        "named in unreachable, and its values are null.",
        {
            **_HEAD,
            "freeze": None,
            "statusReason": None,
            "brokers": {"declared": 3, "running": 3, "joined": 3},
            "connectors": {"declared": 1, "running": 1},
            "members": [{"broker": 0, "state": "ACTIVE"}],
            "topology": [],
            "pendingChange": None,
            "lastOperation": _LINE,
            "access": _ACCESS,
            "unreachable": [],
        },
        ("ClusterNotFound", "StackNotUsable"),
    ),
    "readHealth": Text(
        "Clusters",
        "Verdict and findings of the last check; with fresh=true of one that is made now.",
        {
            "cluster": "demo",
            "verdict": "HEALTHY",
            "checkedAt": "2026-01-31T12:00:00.000Z",
            "since": "2026-01-30T09:00:00.000Z",
            "consecutive": 27,
            "notified": "HEALTHY",
            "notifiedAt": None,
            "findings": [],
            "seconds": 1.4,
            "rehearsal": None,
            "text": "demo is HEALTHY.",
            "fresh": False,
            "ageSeconds": 41,
        },
        ("HealthUnavailable", "ClusterNotFound", "StackNotUsable", "HealthCheckBusy"),
    ),
    "provisionCluster": Text(
        "Changes",
        "With changeSet, apply a reviewed plan; with parameters, tags or settings, plan and apply "
        "them in one operation. A cluster that does not exist is created.",
        {**_OPERATION, "operationId": "demo.provision.first", "kind": "provision"},
        (*_STARTING, "PlanNotFound", "SecondApproverRequired"),
        {"parameters": {"Brokers": 3, "Partitions": 3}},
    ),
    "tearDownCluster": Text(
        "Changes",
        "Remove a cluster: confirm repeats its name. State is retained (docs/teardown.md).",
        {**_OPERATION, "operationId": "demo.teardown.last", "kind": "teardown"},
        (*_STARTING, "SecondApproverRequired"),
        {"confirm": "demo"},
    ),
    "scaleBrokers": Text(
        "Changes",
        "Scale the brokers out or in to this count, which is at least the replication factor.",
        _OPERATION,
        (*_STARTING, "SecondApproverRequired"),
        {"count": 4},
    ),
    "scalePartitions": Text(
        "Changes",
        "Add partitions up to this number. Camunda never removes one.",
        {**_OPERATION, "operationId": "demo.scale.six"},
        (*_STARTING, "SecondApproverRequired"),
        {"partitions": 6},
    ),
    "restartService": Text(
        "Changes",
        "Restart all brokers one at a time, one of them, or the connectors.",
        {**_OPERATION, "operationId": "demo.restart.now", "kind": "restart"},
        _STARTING,
        {"service": "brokers"},
    ),
    "rotateSecrets": Text(
        "Changes",
        "Rotate passwords, one after the other; without secrets all of them (docs/rotation.md).",
        {**_OPERATION, "operationId": "demo.rotate.may", "kind": "rotate"},
        _STARTING,
        {"secrets": ["admin"]},
    ),
    "openManagement": Text(
        "Changes",
        "Open the management API, which has no authentication, on the internal load balancer, for "
        "a limited time and private ranges. The same request again moves the end (docs/manage.md).",
        {**_OPERATION, "operationId": "demo.manage.look", "kind": "manage"},
        (*_STARTING, "ManageRefused"),
        {"minutes": 60, "cidrs": ["10.190.0.0/16"]},
    ),
    "closeManagement": Text(
        "Changes",
        "Close the management API before its end. What is closed stays so.",
        {**_OPERATION, "operationId": "demo.manage.done", "kind": "manage"},
        (*_STARTING, "ManageRefused"),
        {},
    ),
    "listBackups": Text(
        "Clusters",
        "Backups of the brokers with their snapshots of the database, what can be restored from "
        "them and what they cost (docs/backups.md).",
        {
            "cluster": "demo",
            "backups": [
                {
                    "id": 1769860800000,
                    "state": "COMPLETED",
                    "at": "2026-01-31T12:00:00.000Z",
                    "partitions": 3,
                    "version": "8.9.16",
                    "kind": "pair",
                    "size": None,
                    "snapshot": "camunda-lifecycle-demo-databasecluster-1-backup-1769860700000",
                    "snapshotAt": "2026-01-31T11:58:20.000Z",
                    "restorable": True,
                    "why": "",
                }
            ],
            "more": 0,
            "database": {
                "earliest": "2026-01-24T12:00:00.000Z",
                "latest": "2026-01-31T12:01:00.000Z",
            },
            "ranges": [
                {
                    "partition": 1,
                    "start": "2026-01-24T12:00:00.000Z",
                    "end": "2026-01-31T12:00:00.000Z",
                }
            ],
            "gaps": [],
            "restorable": {"from": "2026-01-24T12:00:00.000Z", "to": "2026-01-31T12:00:00.000Z"},
            "former": [
                {
                    "name": "camunda-lifecycle-demo-databasecluster-a1b2c3",
                    "status": "available",
                    "createdAt": "2025-11-01T09:00:00.000Z",
                    "replacedAt": "2026-01-20T09:30:00.000Z",
                    "expiresAt": "2026-02-19T09:30:00.000Z",
                    "bytes": 10737418240,
                }
            ],
            "snapshots": [],
            "cost": {"bucketBytes": None, "databaseBytes": None, "monthly": {"total": None}},
            "unreachable": [],
        },
        ("ClusterNotFound",),
    ),
    "restoreCluster": Text(
        "Changes",
        "Restore a cluster to a backup of its brokers: the database of that moment beside the "
        "present one while the cluster runs, then all brokers at once, during which nothing is "
        "served. The former database "
        "and data stay. With from, a new cluster is made of the backups of another one, which may "
        "have been torn down. With dryRun only a plan: what is lost, what stops, how long "
        "(docs/restore.md).",
        {**_OPERATION, "operationId": "demo.restore.now", "kind": "restore"},
        _STARTING,
        {"confirm": "demo", "to": "2026-11-30T08:00:00Z"},
    ),
    "rehearseRestore": Text(
        "Changes",
        "Take a backup of a cluster, make a trial of it, compare both and remove the trial: that "
        "the backup comes back, and how long it takes. The cluster runs on. With dryRun only a "
        "plan (docs/rehearsals.md).",
        {**_OPERATION, "operationId": "demo.rehearse.now", "kind": "rehearse"},
        _STARTING,
        {},
    ),
    "takeBackup": Text(
        "Changes",
        "Take a backup: a snapshot of the database, then a backup of the brokers, followed until "
        "every partition has completed it. No task is changed (docs/backups.md).",
        {**_OPERATION, "operationId": "demo.backup.now", "kind": "backup"},
        _STARTING,
        {},
    ),
    "deleteBackup": Text(
        "Changes",
        "Delete a backup of the brokers and its snapshot: confirm repeats the cluster's name. The "
        "newest completed one is kept.",
        {**_OPERATION, "operationId": "demo.backup.old", "kind": "backup"},
        _STARTING,
        {"confirm": "demo"},
    ),
    "deleteFormerData": Text(
        "Changes",
        "Delete what restores have replaced: former databases, each after a final snapshot unless "
        "acceptNoFinalSnapshot is true, copies that restores made, and buckets of former leases. "
        "confirm repeats the cluster's name. The cluster is verified first; the present database "
        "is not touched. With dryRun only a list of it, with bytes (docs/restore.md).",
        {**_OPERATION, "operationId": "demo.backup.former", "kind": "backup"},
        _STARTING,
        {"confirm": "demo"},
    ),
    "planChange": Text(
        "Plans",
        "Plan provisioning, scaling or a teardown. The plan is read at /plans/{id} with the id of "
        "the operation.",
        {**_OPERATION, "operationId": "demo.plan.four", "kind": "plan"},
        tuple(one for one in _STARTING if one not in {"ClusterBusy", "ClusterFrozen"}),
        {"scale": {"count": 4}},
    ),
    "freezeCluster": Text(
        "Changes",
        "Every change is rejected until the freeze is lifted. The same reason again is no error.",
        _FREEZING,
        (
            *("ClusterNotFound", "ClusterFrozen", "StackNotUsable", "ClusterChanged"),
            *("RequestTooLarge", "UnsupportedMediaType"),
        ),
        {"reason": "audit until Friday"},
    ),
    "thawCluster": Text(
        "Changes",
        "Lift the freeze in the table. A tag on the stack stays and still freezes.",
        {"frozen": None, "freeze": None, "operationId": None},
        ("ClusterNotFound", "StackNotUsable", "ClusterChanged"),
    ),
    "listKept": Text(
        "Clusters",
        "What clusters that were torn down have left, found by its tags. Clusters with a stack "
        "are not listed.",
        {"kept": [_LEFT]},
    ),
    "readKept": Text(
        "Clusters",
        "What one of them has left, with the newest backups in its buckets, and whether a new "
        "cluster can be made of them.",
        {
            **_LEFT,
            "backups": [
                {
                    "bucket": "camunda-lifecycle-demo-backupbucket-1m7drbz7vgbsf",
                    "id": 1769860800000,
                    "state": "COMPLETED",
                    "at": "2026-01-31T12:00:00.000Z",
                    "partitions": 3,
                    "version": "8.9.16",
                    "kind": "SCHEDULED_BACKUP",
                    "why": "",
                }
            ],
            "restorable": {
                "bucket": "camunda-lifecycle-demo-backupbucket-1m7drbz7vgbsf",
                "backup": 1769860800000,
                "at": "2026-01-31T12:00:00.000Z",
                "partitions": 3,
                "version": "8.9.16",
                "snapshot": "camunda-lifecycle-demo-databasecluster-backup-1769860500000",
                "snapshotAt": "2026-01-31T11:55:00.000Z",
                "engineVersion": "16.8",
            },
            "why": "",
        },
        ("ClusterNotFound",),
    ),
    "listOperations": Text(
        "Operations",
        "Operations of one cluster or of all, newest first, without steps and results.",
        {"operations": [_LINE], "next": None},
        ("ClusterNotFound",),
    ),
    "readOperation": Text(
        "Operations",
        "Status, progress, who started it, result or error with the next step.",
        _OPERATION,
        ("OperationNotFound",),
    ),
    "readReport": Text(
        "Operations",
        "Presigned links to the report of an ended operation and to its page, valid for minutes, "
        "from the networks of the API only. Who has a link needs no other permission.",
        {
            "operationId": "demo.scale.four",
            "reportUrl": "https://artifacts.s3.eu-central-1.amazonaws.com/operations/demo/scale/…",
            "pageUrl": "https://artifacts.s3.eu-central-1.amazonaws.com/operations/demo/scale/…",
            "expiresAt": "2026-11-23T10:05:00.000Z",
        },
        ("OperationNotFound", "ReportNotFound"),
    ),
    "cancelOperation": Text(
        "Operations",
        "Stop an operation that has not changed anything yet; any other goes on.",
        {**_OPERATION, "status": "ABORTED", "cancelledBy": "arn:aws:iam::123456789012:user/ada"},
        (
            *("OperationNotFound", "OperationNotCancellable"),
            *("RequestTooLarge", "UnsupportedMediaType"),
        ),
    ),
    "resumeOperation": Text(
        "Operations",
        "Let an operation that was aborted or timed out continue where it stopped, if no other has "
        "held the cluster since.",
        {**_OPERATION, "resumedBy": "arn:aws:iam::123456789012:user/ada"},
        (
            *("OperationNotFound", "OperationNotResumable", "ClusterBusy", "ClusterFrozen"),
            *("StackNotUsable", "SecondApproverRequired", "PlanNotFound"),
            *("RequestTooLarge", "UnsupportedMediaType"),
        ),
    ),
    "readPlan": Text(
        "Plans",
        "A plan as it was stored, as JSON, as text for a change ticket or as a page.",
        {"operationId": "demo.plan.four", "kind": "scale", "cluster": "demo", "status": "READY"},
        ("PlanNotFound", "PlanNotFinished", "NotAcceptable"),
    ),
}
