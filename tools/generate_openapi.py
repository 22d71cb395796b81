"""Write ``docs/openapi.json`` from the API's route table and the cluster template's parameters.

Run by ``make generate``; a test refuses drift, another holds every answer of the API to it.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.api.app import PLAN_TYPES, STATUSES, VERSION_HEADER
from lifecycle.api.etag import HEADER
from lifecycle.api.paging import DEFAULT as LINES
from lifecycle.api.paging import MOST as MOST_LINES
from lifecycle.api.problems import STATUS
from lifecycle.api.routes import ROUTES, Route
from lifecycle.backup.request import NO_SNAPSHOT
from lifecycle.cluster.access import WEB
from lifecycle.cluster.freeze import REASON_PATTERN
from lifecycle.cluster.names import CLUSTER_NAME
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.tags import KEY_PATTERN, MOST, VALUE_PATTERN
from lifecycle.cluster.validation import MOST_BROKERS, MOST_PARTITIONS
from lifecycle.health.catalog import KINDS, Severity, Verdict
from lifecycle.manage.request import (
    DEFAULT_MINUTES,
    LEAST_MINUTES,
    MOST_MINUTES,
    MOST_RANGES,
    RANGE_PATTERN,
)
from lifecycle.operation.approval import DRY_RUN, FIELD, PATTERN
from lifecycle.operation.idempotency import KEY
from lifecycle.operation.steps import STEPS
from lifecycle.preflight import backup_gate
from lifecycle.preflight.way_back import ACCEPT
from lifecycle.provisioning.request import CHANGE_SET, ON_START_FAILURE
from lifecycle.restore.request import AGAIN, TO_PATTERN
from lifecycle.restore.request import MOST as MOST_BACKUP_ID
from lifecycle.rotation.request import Secret
from lifecycle.services.settings import KINDS as KINDS_OF_SETTINGS
from lifecycle.services.settings import SERVICES
from lifecycle.verification.process_instances import OPTION

from tools.openapi_texts import TAGS, TEXTS, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TARGET = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
CLUSTER: Schema = {"type": "string", "pattern": f"^{CLUSTER_NAME.pattern}$"}
BROKERS: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_BROKERS}
BROKER: Schema = {"type": "integer", "minimum": 0, "maximum": MOST_BROKERS - 1}
PARTITIONS: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_PARTITIONS}


def closed(properties: Mapping[str, Schema], *optional: str, **more: Any) -> Schema:
    """An object with these fields and no others; all are required but the optional ones."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
        **more,
    }


def opened(properties: Mapping[str, Schema], *optional: str, **more: Any) -> Schema:
    """An object of a response, in which a later release may have more fields."""
    found = closed(properties, *optional)
    del found["additionalProperties"]
    return found | more


def reference(name: str) -> Schema:
    """A reference to one of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def one_of(values: Iterable[str]) -> Schema:
    """One of these texts."""
    return {"type": "string", "enum": [str(one) for one in values]}


def always(value: str | bool) -> Schema:
    """A field with one value; generators of clients need its type beside it."""
    return {"type": "boolean" if isinstance(value, bool) else "string", "const": value}


def parameters() -> Schema:
    """The cluster template's parameters that a request may set."""
    own = {name: kind for name, kind in cluster_parameters().items() if not kind.get("machine")}
    return {
        "type": "object",
        "properties": {name: _parameter(declared) for name, declared in own.items()},
        "additionalProperties": False,
    }


def tags() -> Schema:
    """Tags that a request may name."""
    return {
        "type": "object",
        "description": "Tags of everything in the cluster; null removes one",
        "propertyNames": {"pattern": rf"^{KEY_PATTERN}$"},
        "additionalProperties": {"type": ["string", "null"], "pattern": rf"^{VALUE_PATTERN}$"},
        "maxProperties": MOST,
    }


def service_settings() -> Schema:
    """Settings of the two services that a request may name: a JSON merge patch."""
    texts: Schema = {"type": ["object", "null"], "additionalProperties": TEXT_OR_NULL}
    kinds: Mapping[str, Schema] = {
        "environment": {**texts, "description": "Environment variables by name"},
        "secrets": {**texts, "description": "ARNs of secrets or parameters, by variable"},
        "managedPolicyArns": {
            "type": ["array", "null"],
            "items": TEXT,
            "description": "Policies under /camunda/ for the task role",
        },
        "javaToolOptions": {**TEXT_OR_NULL, "description": "JAVA_TOOL_OPTIONS"},
    }
    service: Schema = closed(kinds, *KINDS_OF_SETTINGS) | {"type": ["object", "null"]}
    return closed(
        dict.fromkeys(SERVICES, service),
        *SERVICES,
        description="Merge patch (RFC 7396) of the settings: omitted fields stay, null removes",
    )


def _parameter(declared: Mapping[str, Any]) -> Schema:
    # No `default`: omitted means the present value of an existing cluster, and generated clients
    # send defaults as if the caller had given them.
    about = [declared.get("description", "")]
    if declared.get("default"):
        about.append(f"A new cluster has {declared['default']} by default.")
    schema: Schema = {"description": " ".join(filter(None, about))}
    allowed = declared.get("allowedValues")
    if allowed in (["true", "false"], ["false", "true"]):
        # Not one enum: generators of clients take values of one type each.
        return schema | {"anyOf": [{"type": "boolean"}, one_of(allowed)]}
    if declared["type"] == "Number":
        limits = {"minimum": declared.get("min"), "maximum": declared.get("max")}
        schema["type"] = "integer"
        schema |= {key: int(limit) for key, limit in limits.items() if limit is not None}
        if allowed:
            schema["enum"] = [int(value) for value in allowed]
        return schema
    if str(declared["type"]).startswith(("CommaDelimitedList", "List<")):
        return schema | {"type": ["string", "array"], "items": TEXT}
    schema["type"] = "string"
    if allowed:
        schema["enum"] = allowed
    if declared.get("allowedPattern"):
        schema["pattern"] = declared["allowedPattern"]
    return schema


NO_WAY_BACK: Schema = {
    "type": "boolean",
    "default": False,
    "description": "Upgrade to another minor version without a recent backup and snapshot",
}
NO_BACKUP: Schema = {
    "type": "boolean",
    "default": False,
    "description": "Move or replace brokers without a recent backup",
}
WITHOUT_SNAPSHOT: Schema = {
    "type": "boolean",
    "default": False,
    "description": "Delete former databases without a final snapshot",
}
WITH_INSTANCES: Schema = {
    "type": "boolean",
    "default": True,
    "description": "Verify with a process instance on each partition, found by a search",
}
PROVISION: Schema = closed(
    {
        "parameters": reference("ClusterParameters"),
        "tags": reference("ClusterTags"),
        "settings": reference("ServiceSettings"),
        "onStartFailure": {**one_of(ON_START_FAILURE), "default": ON_START_FAILURE[0]},
        ACCEPT: NO_WAY_BACK,
        backup_gate.ACCEPT: NO_BACKUP,
        OPTION: WITH_INSTANCES,
    },
    "parameters",
    "tags",
    "settings",
    "onStartFailure",
    ACCEPT,
    backup_gate.ACCEPT,
    OPTION,
)
APPLY: Schema = closed(
    {
        "changeSet": {
            **TEXT,
            "pattern": f"^(?:{CHANGE_SET.pattern})$",
            "description": "Name or ARN of the change set of a plan",
        },
        "onStartFailure": {**one_of(ON_START_FAILURE), "default": ON_START_FAILURE[0]},
        ACCEPT: NO_WAY_BACK,
        backup_gate.ACCEPT: NO_BACKUP,
    },
    "onStartFailure",
    ACCEPT,
    backup_gate.ACCEPT,
)
PLANNED: Schema = closed(
    {
        "parameters": reference("ClusterParameters"),
        "tags": reference("ClusterTags"),
        "settings": reference("ServiceSettings"),
        "replace": {
            "type": "array",
            "items": TEXT,
            "description": "Logical ids of stateful resources that may be replaced or removed",
        },
    },
    "parameters",
    "tags",
    "settings",
    "replace",
)
APPROVES: Schema = {
    **TEXT,
    "pattern": f"^(?:{PATTERN})$",
    "description": "Operation of the plan or dry run of this change that another principal made",
}
# A request that may name its review, and a dry run, which is one, by the end of their titles.
REVIEWS: tuple[tuple[str, Schema, tuple[str, ...]], ...] = (
    ("", {DRY_RUN: always(False), FIELD: APPROVES}, (DRY_RUN, FIELD)),
    ("DryRun", {DRY_RUN: always(True)}, ()),
)
SECRETS: Schema = {
    "type": "array",
    "items": one_of(Secret),
    "minItems": 1,
    "uniqueItems": True,
    "description": "Default: all",
}
MINUTES: Schema = {
    "type": "integer",
    "minimum": LEAST_MINUTES,
    "maximum": MOST_MINUTES,
    "default": DEFAULT_MINUTES,
    "description": "How long it stays open, from the start of the operation",
}
RANGES: Schema = {
    "type": "array",
    "items": {**TEXT, "pattern": RANGE_PATTERN},
    "minItems": 1,
    "maxItems": MOST_RANGES,
    "uniqueItems": True,
    "description": "Private IPv4 ranges that are let in. Default: the VPC",
}
CONFIRM: Schema = {**CLUSTER, "description": "The cluster's name, repeated"}
UNREVIEWED: tuple[str, Schema, tuple[str, ...]] = ("", {DRY_RUN: always(False)}, (DRY_RUN,))
# What a restore goes to, by the end of its title.
RESTORED: tuple[tuple[str, Schema], ...] = (
    ("Newest", {}),
    (
        "To",
        {
            "to": {
                **TEXT,
                "pattern": TO_PATTERN,
                "description": "Nothing after this moment is restored; with its time zone",
            }
        },
    ),
    (
        "Backup",
        {
            "backup": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_BACKUP_ID,
                "description": "Id of a backup of the brokers",
            }
        },
    ),
)
ONCE_MORE: Schema = {
    "type": "boolean",
    "description": "Also where the cluster was restored to that backup already: what came since is "
    "lost",
}
# Whose backups, by the beginning of its title: the cluster's own, or another's for a new cluster.
SOURCES: tuple[tuple[str, Schema], ...] = (
    ("Restore", {}),
    (
        "MakeOf",
        {
            "from": {**CLUSTER, "description": "The cluster of whose backups a new one is made"},
            "parameters": reference("ClusterParameters"),
        },
    ),
)
BODIES: Mapping[str, Schema] = {
    "provisionCluster": {
        "anyOf": [
            {"title": "ApplyPlan", **APPLY},
            *(
                {"title": f"Provision{name.capitalize()}", **PROVISION, "required": [name]}
                for name in ("parameters", "tags", "settings")
            ),
        ]
    },
    "tearDownCluster": {
        "oneOf": [
            closed(
                {"confirm": CONFIRM, "dryRun": always(False), FIELD: APPROVES},
                *("dryRun", FIELD),
                title="Teardown",
            ),
            closed({"confirm": CONFIRM, "dryRun": always(True)}, "confirm", title="TeardownDryRun"),
        ]
    },
    "scaleBrokers": closed(
        {"count": BROKERS, FIELD: APPROVES, backup_gate.ACCEPT: NO_BACKUP},
        *(FIELD, backup_gate.ACCEPT),
    ),
    "scalePartitions": closed(
        {"partitions": PARTITIONS, FIELD: APPROVES, backup_gate.ACCEPT: NO_BACKUP},
        *(FIELD, backup_gate.ACCEPT),
    ),
    "freezeCluster": closed(
        {"reason": {**TEXT, "minLength": 1, "maxLength": 200, "pattern": f"^{REASON_PATTERN}$"}}
    ),
    "restartService": {
        "oneOf": [
            closed(
                {"service": always(service), **extra, **review},
                *(*extra, *optional),
                title=f"Restart{service.capitalize()}{end}",
            )
            for service, extra in (
                ("brokers", {"broker": BROKER, backup_gate.ACCEPT: NO_BACKUP}),
                ("connectors", {}),
            )
            for end, review, optional in REVIEWS
        ]
    },
    "rotateSecrets": {
        "oneOf": [
            closed({"secrets": SECRETS, **review}, "secrets", *optional, title=f"Rotation{end}")
            for end, review, optional in REVIEWS
        ]
    },
    "openManagement": {
        "oneOf": [
            closed(
                {"minutes": MINUTES, "cidrs": RANGES, **review},
                *("minutes", "cidrs", *optional),
                title=f"OpenManagement{end}",
            )
            for end, review, optional in REVIEWS
        ]
    },
    "closeManagement": closed({"dryRun": {"type": "boolean"}}, "dryRun"),
    "restoreCluster": {
        "oneOf": [
            closed(
                {"confirm": CONFIRM, **target, **source, **review, **again},
                *(("confirm",) if end else optional),
                *(("parameters",) if source else ()),
                *again,
                title=f"{begin}{title}{end}",
            )
            for begin, source in SOURCES
            for title, target in RESTORED
            for again in [{AGAIN: ONCE_MORE} if "backup" in target and not source else {}]
            # Of the newest backup nothing can be reviewed: it is another one meanwhile.
            for end, review, optional in (REVIEWS if target else (UNREVIEWED, REVIEWS[1]))
        ]
    },
    "rehearseRestore": closed({DRY_RUN: {"type": "boolean"}}, DRY_RUN),
    "takeBackup": closed({DRY_RUN: {"type": "boolean"}}, DRY_RUN),
    "deleteBackup": {
        "oneOf": [
            closed({"confirm": CONFIRM, DRY_RUN: always(False)}, DRY_RUN, title="DeleteBackup"),
            closed(
                {"confirm": CONFIRM, DRY_RUN: always(True)}, "confirm", title="DeleteBackupDryRun"
            ),
        ]
    },
    "deleteFormerData": {
        "oneOf": [
            closed(
                {"confirm": CONFIRM, NO_SNAPSHOT: WITHOUT_SNAPSHOT, DRY_RUN: always(False)},
                DRY_RUN,
                NO_SNAPSHOT,
                title="DeleteFormerData",
            ),
            closed(
                {"confirm": CONFIRM, NO_SNAPSHOT: WITHOUT_SNAPSHOT, DRY_RUN: always(True)},
                "confirm",
                NO_SNAPSHOT,
                title="DeleteFormerDataDryRun",
            ),
        ]
    },
    "planChange": {
        "oneOf": [
            closed({"scale": closed({"count": BROKERS})}, title="PlanBrokers"),
            closed({"scale": closed({"partitions": PARTITIONS})}, title="PlanPartitions"),
            closed({"provision": PLANNED}, title="PlanProvision"),
            closed({"teardown": closed({})}, title="PlanTeardown"),
        ]
    },
}
FREEZE: Schema = opened(
    {"reason": TEXT, "since": TEXT, "by": {**TEXT_OR_NULL, "description": "ARN of the principal"}},
    type=["object", "null"],
    description="The freeze in the table; null if there is none",
)
FREEZING: Schema = opened(
    {
        "frozen": {**TEXT_OR_NULL, "description": "Why it is frozen, also by a tag"},
        "freeze": FREEZE,
        "operationId": {**TEXT_OR_NULL, "description": "Operation that began before and goes on"},
    }
)
BACKUPS: Schema = opened(
    {
        "cluster": TEXT,
        "backups": {
            "type": "array",
            "items": opened(
                {
                    "id": {"type": "integer", "description": "Of the brokers' backup"},
                    "state": {**TEXT, "description": "As Camunda returns it"},
                    "at": {**TEXT_OR_NULL, "description": "When its first part was begun"},
                    "partitions": {"type": "integer"},
                    "version": {**TEXT, "description": "Of the brokers; empty where unknown"},
                    "kind": {
                        **one_of(("pair", "brokers")),
                        "description": "pair: with a snapshot of the database from before it",
                    },
                    "size": {
                        "type": ["integer", "null"],
                        "description": "null: Camunda returns no size",
                    },
                    "snapshot": TEXT_OR_NULL,
                    "snapshotAt": TEXT_OR_NULL,
                    "restorable": {
                        "type": "boolean",
                        "description": "Whether a restore of this cluster would take it now",
                    },
                    "why": {
                        **TEXT,
                        "description": "Why not: it is not complete, it has another number of "
                        "partitions, it lies in a gap, the cluster's version does not restore it, "
                        "or no database of before it can be restored, for one that was just taken "
                        "not yet; empty if it can be restored",
                    },
                }
            ),
        },
        "more": {"type": "integer", "description": "Older ones that are not listed"},
        "database": opened(
            {"earliest": TEXT_OR_NULL, "latest": TEXT_OR_NULL},
            description="The time to which Aurora's continuous backup can be restored",
        ),
        "ranges": {
            "type": "array",
            "items": opened(
                {
                    "partition": {"type": "integer"},
                    "start": TEXT_OR_NULL,
                    "end": TEXT_OR_NULL,
                }
            ),
            "description": "Unbroken sequences of the brokers' backups",
        },
        "gaps": {
            "type": "array",
            "items": opened({"partition": {"type": "integer"}, "from": TEXT, "to": TEXT}),
            "description": "Between two ranges of a partition nothing can be restored",
        },
        "restorable": opened(
            {"from": TEXT, "to": TEXT},
            type=["object", "null"],
            description="The time that both can be restored to without a snapshot, but for gaps",
        ),
        "snapshots": {
            "type": "array",
            "items": opened({"name": TEXT, "status": TEXT, "at": TEXT_OR_NULL}),
            "description": "Snapshots of backups whose part of the brokers is gone, and those that "
            "restores have taken of their copies",
        },
        "former": {
            "type": "array",
            "items": opened(
                {
                    "name": TEXT,
                    "status": {**TEXT, "description": "As RDS returns it"},
                    "createdAt": TEXT_OR_NULL,
                    "replacedAt": {**TEXT_OR_NULL, "description": "By a restore"},
                    "expiresAt": {
                        **TEXT_OR_NULL,
                        "description": "FormerDataDays after that; nothing is deleted then",
                    },
                    "bytes": {"type": ["integer", "null"]},
                }
            ),
            "description": "Databases that restores have replaced, which are kept until "
            "DELETE /clusters/{name}/former-data",
        },
        "cost": opened(
            {
                "bucketBytes": {"type": ["integer", "null"]},
                "databaseBytes": {"type": ["integer", "null"]},
                "monthly": {"type": "object", "additionalProperties": True},
            },
            description="Storage as CloudWatch shows it once a day, and what it costs",
        ),
        "unreachable": {
            "type": "array",
            "items": opened({"part": TEXT, "reason": TEXT}),
            "description": "What could not be read",
        },
    }
)
HEAD: Mapping[str, Schema] = {
    "operationId": TEXT,
    "cluster": TEXT,
    "kind": {
        **TEXT,
        "description": "The state machine: provision, scale, restart, rotate, manage, backup, "
        "restore, rehearse, plan, teardown",
    },
    "status": {
        **one_of(STATUSES),
        "description": "As in Step Functions; NOT_STARTED: recorded, but never ran",
    },
    "startedAt": TEXT_OR_NULL,
    "endedAt": TEXT_OR_NULL,
    "startedBy": {
        **TEXT_OR_NULL,
        "description": "ARN of the principal, or a user of the console as "
        "<user pool>:CognitoSignIn:<sub>; null if not started through this API",
    },
    "execution": {**TEXT, "description": "ARN of the execution"},
}
REACHED: Schema = {
    "description": "How the cluster is reached and who logs in; null where that is not known",
    "oneOf": [reference("Access"), {"type": "null"}],
}
SERVICE: Mapping[str, Schema] = {
    "declared": {**COUNT, "description": "Desired count of the ECS service"},
    "running": {**COUNT, "description": "Running tasks of the ECS service"},
}
CLUSTER_LINE: Mapping[str, Schema] = {
    "name": TEXT_OR_NULL,
    "stack": TEXT,
    "status": {**TEXT, "description": "Status of the CloudFormation stack"},
    "frozen": {**TEXT_OR_NULL, "description": "Why it is frozen; null if it is not"},
    "restUrl": TEXT_OR_NULL,
    "grpcEndpoint": TEXT_OR_NULL,
}


def _result(machine: str, fields: Mapping[str, Schema]) -> Schema:
    """What the execution of a changing machine returns: the head of its report."""
    head: Mapping[str, Schema] = {
        "operationId": TEXT,
        "cluster": TEXT,
        "result": always("SUCCEEDED"),
        "machine": always(machine),
        "reportKey": TEXT,
        "startedAt": TEXT,
        "endedAt": TEXT,
    }
    required = ("operationId", "cluster", "result", "machine")
    optional = [name for name in (*head, *fields) if name not in required]
    return opened({**head, **fields}, *optional, additionalProperties=True)


def results() -> dict[str, Schema]:
    """Schemas of what operations return, by name."""
    outputs: Schema = {
        "type": "object",
        "description": "Outputs of the cluster's stack: docs/contracts.md",
        "additionalProperties": TEXT,
    }
    some: Schema = {"type": ["object", "null"], "additionalProperties": True}
    verified: Mapping[str, Schema] = {
        "outputs": outputs,
        "verification": {**some, "description": "What was verified at the end, and how"},
    }
    removal = opened(
        {
            "stack": TEXT,
            "goes": {"type": "object", "additionalProperties": {"type": "integer"}},
            "kept": {"type": "array", "items": some},
            "monthlyCost": TEXT,
            "currency": TEXT,
            "text": TEXT,
        },
        additionalProperties=True,
    )
    plan = opened(
        {"status": TEXT, "kind": TEXT, "planKey": TEXT, "textKey": TEXT},
        *("planKey", "textKey"),
        additionalProperties=True,
    )
    made = {"operationId": TEXT, "cluster": TEXT, "result": always("SUCCEEDED"), "plan": plan}
    management = opened(
        {
            "open": {"type": "boolean"},
            "wasOpen": {"type": "boolean"},
            "url": TEXT,
            "until": TEXT,
            "from": {"type": "array", "items": TEXT},
            "warning": TEXT,
            "close": TEXT,
        },
        *("wasOpen", "url", "until", "from", "warning", "close"),
        description="The way to the management API: docs/manage.md",
        additionalProperties=True,
    )
    rotations = {"rotations": {"type": "array", "items": some}}
    return {
        "ProvisionResult": _result("provision", {**verified, "preflight": some, "access": REACHED}),
        "ScaleResult": _result("scale", verified),
        "RestartResult": _result("restart", verified),
        "RotateResult": _result("rotate", {**verified, **rotations}),
        "BackupResult": _result(
            "backup",
            {
                "outputs": outputs,
                "backup": {**some, "description": "The backup that was taken: docs/backups.md"},
                "deleted": {"type": "array", "items": TEXT},
                "problem": {**TEXT, "description": "Why an expired snapshot was not deleted"},
            },
        ),
        "ManageResult": _result("manage", {"outputs": outputs, "managementAccess": management}),
        "RestoreResult": _result(
            "restore",
            {**verified, "restored": {**some, "description": "To what: docs/restore.md"}},
        ),
        "RehearseResult": _result(
            "rehearse",
            {"rehearsal": {**some, "description": "What it showed: docs/rehearsals.md"}},
        ),
        "TeardownResult": _result("teardown", {"plan": removal}),
        "TeardownPreview": removal,
        "CheckedRequest": opened(
            {"cluster": TEXT, "dryRun": always(True)},
            description="A dry run of a restart, a rotation, a way in, a backup or a restore: the "
            "request as it was validated, of a restore with its plan",
            additionalProperties=True,
        ),
        "PlanResult": opened(made, additionalProperties=True),
    }


def schemas() -> dict[str, Schema]:
    """Every named schema of the document."""
    step = opened({"step": TEXT, "at": TEXT})
    progress = opened(
        {
            "done": {"type": "integer", "minimum": 0},
            "planned": {**COUNT, "description": "null if not known in advance"},
            "step": TEXT_OR_NULL,
            "detail": {**TEXT_OR_NULL, "description": "Current action or wait condition"},
            "timeline": {"type": "array", "items": step},
        }
    )
    error = opened(
        {
            "name": {**TEXT, "description": "Error name; the runbook has an entry for each"},
            "cause": TEXT,
            "nextStep": TEXT,
            "currentState": {**TEXT_OR_NULL, "description": "State after the failure"},
        },
        type=["object", "null"],
    )
    member = opened({"broker": {"type": ["integer", "string"]}, "state": TEXT})
    pending = opened(
        {
            "id": {"type": "integer"},
            "done": {"type": "integer"},
            "planned": {"type": "integer"},
            "next": TEXT_OR_NULL,
        },
        type=["object", "null"],
    )
    wrong = opened({"field": TEXT, "given": TEXT, "allowed": TEXT})
    return {
        "ClusterParameters": parameters(),
        "ClusterTags": tags(),
        **results(),
        "ServiceSettings": service_settings(),
        "OperationLine": opened(HEAD),
        "Operation": opened(
            {
                **HEAD,
                "progress": progress,
                "result": {
                    "description": "Of an operation that succeeded, by its kind; of a "
                    "dry run what it found",
                    "anyOf": [*(reference(name) for name in results()), {"type": "null"}],
                },
                "error": error,
                "reportKey": {**TEXT_OR_NULL, "description": "Its report in the artifact bucket"},
                "changedAt": {
                    **TEXT_OR_NULL,
                    "description": "Time of its first change; null before, and not known for "
                    "operations of an earlier version",
                },
                "cancelledBy": {**TEXT_OR_NULL, "description": "ARN of who cancelled it"},
                "resumedBy": {**TEXT_OR_NULL, "description": "ARN of who resumed it last"},
            }
        ),
        "ClusterLine": opened(
            {
                **CLUSTER_LINE,
                "verdict": {
                    "type": ["string", "null"],
                    "enum": [*(str(one) for one in Verdict), None],
                    "description": "Of the last health check; null if there was none",
                },
                "checkedAt": {**TEXT_OR_NULL, "description": "Time of the last health check"},
                "brokers": opened(
                    {
                        "declared": {**COUNT, "description": "Desired count at the last check"},
                        "joined": {**COUNT, "description": "Active at the last check"},
                    }
                ),
                "version": {**TEXT_OR_NULL, "description": "Camunda's version of the brokers"},
                "operation": opened(
                    {"operationId": TEXT, "execution": TEXT},
                    type=["object", "null"],
                    description="The operation that holds the cluster",
                ),
                "monthlyCost": {
                    **TEXT_OR_NULL,
                    "description": "Fixed cost per month in USD, with the counts of the last check",
                },
            }
        ),
        "Health": opened(
            {
                "cluster": CLUSTER,
                "verdict": one_of(Verdict),
                "checkedAt": TEXT,
                "fresh": {"type": "boolean", "description": "Whether this request made the check"},
                "ageSeconds": {"type": "integer", "minimum": 0, "description": "Age of the check"},
                "since": {**TEXT, "description": "Time of the last change of the verdict"},
                "consecutive": {"type": "integer", "minimum": 1},
                "notified": {
                    **one_of(Verdict),
                    "description": "Verdict last notified of; changes only after several checks",
                },
                "notifiedAt": TEXT_OR_NULL,
                "findings": {"type": "array", "items": reference("Finding")},
                "seconds": {"type": "number", "minimum": 0},
                "rehearsal": {
                    "anyOf": [reference("Rehearsal"), {"type": "null"}],
                    "description": "The last rehearsal of a restore; null without one",
                },
                "text": {**TEXT, "description": "The report as text, worst first"},
            }
        ),
        "Rehearsal": opened(
            {
                "operationId": TEXT,
                "at": {**TEXT, "description": "Its end"},
                "result": one_of(["PASS", "WARN", "FAIL"]),
                "failure": {**TEXT, "description": "Why it failed; empty otherwise"},
                "recoverySeconds": {
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "description": "How long a restore took, as measured; null if none was",
                },
                "measured": {
                    "anyOf": [reference("MeasuredRestore"), {"type": "null"}],
                    "description": "The restore that was measured last and was whole",
                },
            }
        ),
        "MeasuredRestore": opened(
            {
                "operationId": TEXT,
                "at": TEXT,
                "seconds": {"type": "integer", "minimum": 0},
                "objects": {
                    "type": ["integer", "null"],
                    "description": "Objects of the backup bucket that were copied",
                },
                "bytes": {"type": ["integer", "null"], "description": "Their size"},
            }
        ),
        "Finding": opened(
            {
                "code": one_of(sorted(KINDS)),
                "severity": one_of(Severity),
                "title": TEXT,
                "seen": TEXT,
                "expected": TEXT,
                "remedy": TEXT,
                "runbook": TEXT,
                "subject": TEXT,
                "explainedBy": {**TEXT, "description": "Why it is expected; it is then a note"},
                "transient": {**TEXT, "description": "What is already resolving it"},
            },
            "subject",
            "explainedBy",
            "transient",
        ),
        "Cluster": opened(
            {
                **CLUSTER_LINE,
                "freeze": FREEZE,
                "statusReason": TEXT_OR_NULL,
                "brokers": opened(
                    {
                        **SERVICE,
                        "joined": {
                            **COUNT,
                            "description": "Active members that are in the topology",
                        },
                    }
                ),
                "connectors": opened(SERVICE),
                "members": {"type": ["array", "null"], "items": member},
                "topology": {"type": ["array", "null"], "items": {"type": "object"}},
                "pendingChange": pending,
                "lastOperation": {
                    "description": "The running one, or else the newest that is not a plan",
                    "oneOf": [reference("OperationLine"), {"type": "null"}],
                },
                "access": REACHED,
                "unreachable": {
                    "type": "array",
                    "items": opened({"part": TEXT, "reason": TEXT}),
                    "description": "Parts that did not respond; their values are null",
                },
            }
        ),
        "Access": opened(
            {
                "urls": opened(
                    dict.fromkeys((*WEB, "rest", "connectors"), TEXT),
                ),
                "grpc": {
                    "oneOf": [
                        opened(
                            {
                                "endpoint": TEXT,
                                "tls": {"type": "boolean"},
                                "authority": {
                                    **TEXT_OR_NULL,
                                    "description": "Name to verify the certificate for, where "
                                    "the endpoint has another one",
                                },
                            }
                        ),
                        {"type": "null"},
                    ]
                },
                "login": {
                    "oneOf": [
                        opened(
                            {
                                "method": always("basic"),
                                "user": TEXT,
                                "secretArn": TEXT_OR_NULL,
                                "secretCommand": {
                                    **TEXT_OR_NULL,
                                    "description": "Prints the secret, JSON, with the AWS CLI "
                                    "alone",
                                },
                                "passwordCommand": {
                                    **TEXT_OR_NULL,
                                    "description": "Prints the password, with the AWS CLI and "
                                    "Python 3",
                                },
                            }
                        ),
                        opened(
                            {
                                "method": always("oidc"),
                                "issuer": TEXT_OR_NULL,
                                "administrator": {
                                    **TEXT_OR_NULL,
                                    "description": "Value of the username claim of the first "
                                    "administrator",
                                },
                                "administratorGroup": {
                                    **TEXT_OR_NULL,
                                    "description": "Value in the groups claim of administrators",
                                },
                            }
                        ),
                    ]
                },
                "scheme": {
                    "oneOf": [one_of(("internal", "internet-facing")), {"type": "null"}],
                    "description": "Of the load balancers; null where it is not known",
                },
                "from": {
                    **opened(
                        {kind: {"type": "array", "items": TEXT} for kind in ("web", "grpc")},
                    ),
                    "description": "Ranges, prefix lists and security groups that the load "
                    "balancers admit; empty for the range of the VPC",
                },
                "ways": {
                    "type": "array",
                    "items": opened(
                        {
                            "way": one_of(("internet", "network", "port-forwarding")),
                            "what": TEXT,
                            "missing": {**TEXT_OR_NULL, "description": "What this way lacks"},
                            "unknown": {
                                **TEXT_OR_NULL,
                                "description": "What is not known of this way",
                            },
                            "forwards": {
                                "type": "array",
                                "items": opened(
                                    {
                                        "to": one_of(("web", "grpc")),
                                        "target": TEXT,
                                        "host": TEXT,
                                        "port": {"type": "integer"},
                                        "localPort": {"type": "integer"},
                                        "command": TEXT,
                                        "url": TEXT,
                                        "hosts": {
                                            **TEXT_OR_NULL,
                                            "description": "Line for the hosts file, with TLS",
                                        },
                                        "resolve": {
                                            **TEXT_OR_NULL,
                                            "description": "Option of curl instead of the line",
                                        },
                                    }
                                ),
                            },
                        }
                    ),
                },
            }
        ),
        "Problem": {
            "description": "RFC 9457; API Gateway's own error responses have no error and nextStep",
            "type": "object",
            "properties": {
                "type": TEXT,
                "title": TEXT,
                "status": {"type": "integer"},
                "detail": TEXT_OR_NULL,
                "error": {**TEXT, "description": "Error name; the runbook has an entry for each"},
                "nextStep": TEXT,
                "requestId": TEXT,
                "operationId": {
                    **TEXT,
                    "description": "The running operation, or the uncertain one",
                },
                "idempotencyKey": {**TEXT, "description": "For a retry of the same request"},
                "errors": {"type": "array", "items": wrong},
            },
            "required": ["type", "title", "requestId"],
        },
    }


NEXT: Schema = {
    **TEXT_OR_NULL,
    "description": "Parameter next of the following page; null on the last one",
}
WAIT: Schema = {
    "description": "Seconds until another look is worth while; only while the operation runs",
    "schema": {"type": "integer"},
}
VERSION: Mapping[str, Schema] = {
    VERSION_HEADER: {"description": "Release of the control plane", "schema": TEXT}
}
LEFT: Mapping[str, Schema] = {
    "cluster": TEXT,
    "things": {
        "type": "array",
        "items": opened(
            {"kind": {**TEXT, "description": "What it is, in words"}, "id": TEXT, "arn": TEXT}
        ),
    },
    "snapshots": {
        "type": "array",
        "items": opened({"name": TEXT, "status": TEXT, "at": TEXT_OR_NULL, "engineVersion": TEXT}),
    },
}
ANSWERS: Mapping[str, Schema] = {
    "listClusters": opened(
        {"clusters": {"type": "array", "items": reference("ClusterLine")}, "next": NEXT}
    ),
    "readCluster": reference("Cluster"),
    "readHealth": reference("Health"),
    "freezeCluster": FREEZING,
    "thawCluster": FREEZING,
    "listOperations": opened(
        {"operations": {"type": "array", "items": reference("OperationLine")}, "next": NEXT}
    ),
    "listKept": opened({"kept": {"type": "array", "items": opened(LEFT)}}),
    "readKept": opened(
        {
            **LEFT,
            "backups": {
                "type": "array",
                "items": opened(
                    {
                        "bucket": TEXT,
                        "id": {"type": "integer", "description": "Of the brokers' backup"},
                        "state": {**TEXT, "description": "As brokers return it"},
                        "at": TEXT,
                        "partitions": {"type": "integer"},
                        "version": {**TEXT, "description": "Of the brokers"},
                        "kind": {**TEXT, "description": "Camunda's type of the checkpoint"},
                        "why": {**TEXT, "description": "Why it cannot be restored"},
                    }
                ),
                "description": "The newest in the buckets that are left",
            },
            "restorable": opened(
                {
                    "bucket": TEXT,
                    "backup": {"type": "integer"},
                    "at": {**TEXT, "description": "When the backup's last part was begun"},
                    "partitions": {"type": "integer"},
                    "version": TEXT,
                    "snapshot": TEXT,
                    "snapshotAt": TEXT,
                    "engineVersion": {**TEXT, "description": "Of Aurora PostgreSQL"},
                },
                type=["object", "null"],
                description="What a new cluster can be made of; null where there is no way back",
            ),
            "why": {**TEXT, "description": "Why there is none, or what could not be read"},
        }
    ),
    "readOperation": reference("Operation"),
    "readReport": opened(
        {
            "operationId": TEXT,
            "reportUrl": {**TEXT, "description": "Presigned link to the report in JSON"},
            "pageUrl": {
                **TEXT_OR_NULL,
                "description": "Presigned link to its page; null where there is none",
            },
            "expiresAt": {**TEXT, "description": "When both links end, at the latest"},
        }
    ),
    "listBackups": BACKUPS,
    "readPlan": {
        "type": "object",
        "description": "The plan as it was stored: docs/plans.md",
        "properties": {
            "operationId": TEXT,
            "kind": one_of(("create", "continue", "update", "scale", "teardown")),
            "cluster": TEXT,
            "status": one_of(("READY", "UNCHANGED", "REFUSED")),
        },
        "required": ["operationId", "kind", "cluster", "status"],
        "additionalProperties": True,
    },
}
# Routes that answer 202 with the operation.
ACCEPTED = frozenset({"cancelOperation", "resumeOperation"}) | {r.name for r in ROUTES if r.verb}


def _parameters(route: Route) -> list[Schema]:
    given: list[Schema] = []
    if "{name}" in route.resource:
        about = "Name of the cluster"
        named = {"name": "name", "in": "path", "required": True, "schema": CLUSTER}
        given.append({**named, "description": about})
    if "{id}" in route.resource:
        of_backup = route.name == "deleteBackup"
        about = "Id of the operation: <cluster>.<verb>.<key>"
        about = "Id of the brokers' backup" if of_backup else about
        schema: Schema = {**TEXT, "pattern": "^[0-9]{1,19}$"} if of_backup else TEXT
        named = {"name": "id", "in": "path", "required": True, "schema": schema}
        given.append({**named, "description": about})
    if route.name == "readHealth":
        flag = {**one_of(("true", "false")), "default": "false"}
        asked = {"name": "fresh", "in": "query", "schema": flag}
        given.append({**asked, "description": "true runs a check now, which takes up to 25 s"})
    if route.name == "listOperations":
        wanted = (
            ("cluster", CLUSTER, "Operations of this cluster"),
            ("verb", one_of(STEPS), "Operations of this kind"),
            ("status", one_of(STATUSES), "Operations with this status"),
        )
        given += [
            {"name": name, "in": "query", "schema": schema, "description": about}
            for name, schema, about in wanted
        ]
    if route.name in {"listClusters", "listOperations"}:
        most = {"type": "integer", "minimum": 1, "maximum": MOST_LINES, "default": LINES}
        given += [
            {"name": "limit", "in": "query", "schema": most, "description": "Lines of a page"},
            {"name": "next", "in": "query", "schema": TEXT, "description": "Of the page before"},
        ]
    if route.verb:
        key = {"type": "string", "pattern": f'^({KEY.pattern}|"{KEY.pattern}")$'}
        about = "Names the operation; bare or in quotes. It is known for 90 days"
        given.append(
            {"name": "Idempotency-Key", "in": "header", "schema": key, "description": about}
        )
    if route.method != "GET" and "{name}" in route.resource:
        about = "ETag of the cluster as it was read; 412 ClusterChanged if it is not so any more"
        given.append({"name": HEADER, "in": "header", "schema": TEXT, "description": about})
    return given


def _responses(route: Route, text: Text) -> Schema:
    """Return the answers of a route by status; those of API Gateway have the same form."""
    status = "202" if route.name in ACCEPTED else "200"
    answer = ANSWERS.get(route.name, reference("Operation"))
    content = {"application/json": {"schema": answer, "example": dict(text.answer)}}
    if route.name == "readPlan":
        content |= {kind: {"schema": TEXT} for kind in PLAN_TYPES[1:]}
    headers = dict(VERSION)
    if route.name == "readCluster":
        headers["ETag"] = {
            "description": "For If-Match; absent while a part cannot be read",
            "schema": TEXT,
        }
    if route.name in ACCEPTED:
        where = "Path of the operation, with the stage"
        headers["Location"] = {"description": where, "schema": TEXT}
    if route.name in ACCEPTED or route.name == "readOperation":
        headers["Retry-After"] = WAIT
    described = "Accepted" if route.name in ACCEPTED else "OK"
    found: Schema = {status: {"description": described, "headers": headers, "content": content}}
    names: dict[int, list[str]] = {400: ["InvalidRequest"], 403: [], 429: []}
    for error in text.errors:
        names.setdefault(STATUS[error], []).append(error)
    for code in sorted(names):
        found[str(code)] = _problem(code, names[code])
    found["default"] = {**_problem(500, []), "description": "Any other error (docs/api.md)"}
    return found


def _problem(status: int, errors: list[str]) -> Schema:
    what = HTTPStatus(status).phrase
    named = f"{what}: {', '.join(errors)}" if errors else f"{what}: from API Gateway"
    content = {"application/problem+json": {"schema": reference("Problem")}}
    return {"description": named, "content": content}


def _operation(route: Route) -> Schema:
    text = TEXTS[route.name]
    described: Schema = {
        "operationId": route.name,
        "summary": route.summary,
        "description": text.description,
        "tags": [text.tag],
        "responses": _responses(route, text),
    }
    if route.name in BODIES:
        content: Schema = {"schema": BODIES[route.name]}
        if text.body is not None:
            content["example"] = dict(text.body)
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    given = _parameters(route)
    if given:
        described["parameters"] = given
    return described


def document() -> Schema:
    """Give the whole document."""
    paths: dict[str, Schema] = {}
    for route in ROUTES:
        paths.setdefault(route.resource, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "camunda-ecs-lifecycle",
            "version": "1",
            "description": "Provision, scale, restart, watch and remove Camunda 8 clusters on "
            "Amazon ECS, rotate their passwords and open ways in for a time. Every error is a "
            "problem document; docs/api.md has all of them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "servers": [
            {
                "url": "https://{api}.execute-api.{region}.amazonaws.com/v1",
                "variables": {"api": {"default": "api-id"}, "region": {"default": "eu-central-1"}},
            }
        ],
        "security": [{"sigv4": []}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "description": "AWS Signature Version 4, service execute-api",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
        },
    }


def render() -> str:
    """Give the text that the generated file must have."""
    return json.dumps(_of_ecma(document()), indent=2, ensure_ascii=False) + "\n"


def _of_ecma(schema: Any) -> Any:
    r"""Write patterns as JSON Schema means them, where ``\w`` is ASCII and ``\p{L}`` is not.

    https://json-schema.org/draft/2020-12/json-schema-core#name-regular-expressions
    """
    if isinstance(schema, list):
        return [_of_ecma(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.replace(r"\w", r"\p{L}\p{N}_")
        if name == "pattern" and isinstance(value, str)
        else _of_ecma(value)
        for name, value in schema.items()
    }


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
