"""What a teardown removes, what it keeps, what that costs, and what to do when it gets stuck."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.names import (
    CLUSTER_NAME_RULE,
    TAG_CLUSTER,
    TAG_CONTROL_PLANE,
    is_cluster_name,
)
from lifecycle.cluster.prices import price_list
from lifecycle.cluster.trial import is_trial
from lifecycle.cluster.validation import Problem, invalid
from lifecycle.errors import StackNotUsable
from lifecycle.operation import approval
from lifecycle.operation.approval import Reviewed, read_review
from lifecycle.operation.idempotency import canonical, split_operation_id

if TYPE_CHECKING:
    from lifecycle.cluster.former_data import DatabaseBeside
    from lifecycle.cluster.stack import Stack, StackEvent, StackResource

FIELDS: Final = ("clusterName", "confirm", "dryRun", approval.FIELD)
# A task gets 30 seconds to stop, its targets as long to drain; a protected one up to 15 minutes.
STOP_SECONDS: Final = 30 * 60


@dataclass(frozen=True, slots=True)
class TeardownRequest:
    """A teardown request after validation."""

    cluster: str
    dry_run: bool
    approves: str = ""


def read_teardown_request(raw: object) -> TeardownRequest:
    """Validate the input of the teardown machine.

    ``confirm`` is the cluster's name typed again; only telling (``dryRun``) needs no confirmation.
    Raises ``InvalidRequest`` that lists every problem.
    """
    if not isinstance(raw, Mapping):
        raise invalid([Problem("(input)", raw, "a JSON object with clusterName and confirm")])
    problems = [
        Problem(str(name) or "(empty name)", raw[name], f"one of {', '.join(FIELDS)}")
        for name in raw
        if name not in FIELDS
    ]
    cluster = raw.get("clusterName")
    if not is_cluster_name(cluster):
        problems.append(Problem("clusterName", cluster, CLUSTER_NAME_RULE))
    confirm = raw.get("confirm")
    needed = raw.get(approval.DRY_RUN) is not True or "confirm" in raw
    if needed and (confirm != cluster or not isinstance(confirm, str)):
        problems.append(
            Problem("confirm", confirm, "the cluster's name again, exactly as in clusterName")
        )
    dry_run, approves, unreadable = read_review(raw)
    if problems or unreadable:
        raise invalid([*problems, *unreadable])
    return TeardownRequest(str(cluster), dry_run, approves)


def reviewed_teardown(cluster: str, approves: str) -> Reviewed:
    """Return what has to be reviewed before a cluster is removed: a plan or a dry run of it."""
    parts = split_operation_id(approves)
    if parts is not None and parts[1] == "plan":
        planned = canonical({"clusterName": cluster, "teardown": {}})
        return Reviewed(cluster, approves, "plan", (planned,))
    dry = {"clusterName": cluster, "dryRun": True}
    requests = (canonical(dry), canonical({**dry, "confirm": cluster}))
    return Reviewed(cluster, approves, "teardown", requests)


class StackState(StrEnum):
    """What a teardown finds."""

    ABSENT = "ABSENT"
    BUSY = "BUSY"
    DELETING = "DELETING"
    STANDING = "STANDING"


def state_of(stack: Stack | None, control_stack: str, cluster: str) -> StackState:
    """Describe what a teardown finds.

    Raises ``StackNotUsable`` for a stack of that name that is not the cluster's.
    """
    if stack is None or stack.status == "DELETE_COMPLETE":
        return StackState.ABSENT
    owner = (stack.tags.get(TAG_CONTROL_PLANE), stack.tags.get(TAG_CLUSTER))
    # A stack that only ever held a change set may have no tags yet.
    if owner != (control_stack, cluster) and stack.status != "REVIEW_IN_PROGRESS":
        raise StackNotUsable(
            f"A stack named {stack.name} exists but does not carry the tags of cluster "
            f"{cluster} of {control_stack}; it is left alone.",
            next_step=(
                "Check the name. This stack is not managed by this control plane; delete it "
                "yourself if it is obsolete."
            ),
        )
    if stack.status == "DELETE_IN_PROGRESS":
        return StackState.DELETING
    if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
        return StackState.BUSY
    return StackState.STANDING


def refuse_adopted(stack: Stack) -> None:
    """Raise ``StackNotUsable`` for a cluster that the stack only describes and did not make."""
    if stack.outputs.adopted:
        raise StackNotUsable(
            f"Stack {stack.name} describes a cluster created by another tool; it is left alone.",
            next_step="Remove the cluster with the tool that created it. Deleting the stack in "
            "CloudFormation only ends the adoption.",
        )


# --- what stays --------------------------------------------------------------------------------


_RESOURCE: Final = re.compile(r"^  (\w+):\s*(?:#.*)?$")
_POLICY: Final = re.compile(r"^    DeletionPolicy: (\w+)\s*(?:#.*)?$")


def deletion_policies(template: str) -> dict[str, str]:
    """Deletion policies by logical id, of the cluster template as it was uploaded.

    Stacks of earlier versions hold it as YAML, which is read by its lines: there is no YAML reader
    on Lambda, and the template is ours.
    """
    if template.startswith("{"):
        resources = json.loads(template)["Resources"]
        return {n: r["DeletionPolicy"] for n, r in resources.items() if "DeletionPolicy" in r}
    policies: dict[str, str] = {}
    section, resource = "", ""
    for line in template.splitlines():
        if re.match(r"^\w", line):
            section = line.partition(":")[0]
        elif section == "Resources":
            if found := _RESOURCE.match(line):
                resource = found[1]
            elif found := _POLICY.match(line):
                policies[resource] = found[1]
    return policies


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a kind of resource is called, priced and removed by hand. ``{}`` stands for its id."""

    name: str
    removal: str
    each: str = ""
    per_gigabyte: str = ""
    free: str = ""
    """Why it costs nothing by itself."""


_KINDS: Final[Mapping[str, _Kind]] = {
    "AWS::EFS::FileSystem": _Kind(
        "file system with the brokers' data",
        "aws efs delete-file-system --file-system-id {}",
        per_gigabyte="fileSystemGbMonth",
    ),
    "AWS::S3::Bucket": _Kind(
        "bucket",
        "empty it, all versions too (S3 console, Empty), then aws s3api delete-bucket --bucket {}",
        per_gigabyte="bucketGbMonth",
    ),
    "AWS::Logs::LogGroup": _Kind(
        "log group",
        "aws logs delete-log-group --log-group-name {}",
        per_gigabyte="logGbMonth",
    ),
    "AWS::SecretsManager::Secret": _Kind(
        "secret", "aws secretsmanager delete-secret --secret-id {}", each="secretMonth"
    ),
    "AWS::KMS::Key": _Kind(
        "key; everything it encrypts is unreadable without it",
        "last of all: aws kms schedule-key-deletion --key-id {} --pending-window-in-days 30",
        each="keyMonth",
    ),
    "AWS::Cognito::UserPool": _Kind(
        "user pool; users have their names and passwords in it",
        "aws cognito-idp update-user-pool --user-pool-id {} --deletion-protection INACTIVE "
        "--auto-verified-attributes email, then aws cognito-idp delete-user-pool --user-pool-id {}",
        free="Cognito charges for users who log in",
    ),
    "AWS::RDS::DBCluster": _Kind(
        "final snapshot of the database, named in the report",
        "aws rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier <its name>",
        per_gigabyte="databaseBackupGbMonth",
    ),
}
_GIGABYTE: Final = Decimal(1024**3)
_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that outlives the cluster. ``monthly`` is None where no honest number exists."""

    logical_id: str
    resource_type: str
    physical_id: str
    what: str
    removal: str
    size: int | None
    monthly: Decimal | None
    price: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON; the amount as a string with two decimals."""
        return {
            "logicalId": self.logical_id,
            "type": self.resource_type,
            "id": self.physical_id,
            "what": self.what,
            "howToDelete": self.removal,
            "bytes": self.size,
            "monthlyCost": None if self.monthly is None else f"{self.monthly:.2f}",
            "price": self.price,
        }


def kept_resources(
    contents: Sequence[StackResource],
    policies: Mapping[str, str],
    sizes: Mapping[str, int | None],
    *,
    region: str,
    prices: Mapping[str, Any] | None = None,
) -> list[Kept]:
    """What outlives the stack: retained resources, and the snapshot of the database.

    ``sizes`` holds bytes by logical id where they are known; ``prices`` default to the list that
    is shipped.
    """
    listed = price_list() if prices is None else prices
    known = listed["regions"].get(region)
    kept = []
    for resource in contents:
        kind = _KINDS.get(resource.resource_type)
        if kind is None or policies.get(resource.logical_id, "Delete") == "Delete":
            continue
        size = sizes.get(resource.logical_id)
        monthly, price = _cost(kind, size, known, region, listed["currency"])
        kept.append(
            Kept(
                logical_id=resource.logical_id,
                resource_type=resource.resource_type,
                physical_id=resource.physical_id,
                what=kind.name,
                removal=kind.removal.replace("{}", resource.physical_id),
                size=size,
                monthly=monthly,
                price=price,
            )
        )
    return kept


def _cost(
    kind: _Kind, size: int | None, known: Mapping[str, Any] | None, region: str, currency: str
) -> tuple[Decimal | None, str]:
    if kind.free:
        return Decimal("0.00"), kind.free
    rate = None if known is None else known.get(kind.each or kind.per_gigabyte)
    if rate is None:
        return None, f"no price for {region}"
    if kind.each:
        return Decimal(rate).quantize(_CENT), f"{rate} {currency} each"
    price = f"{rate} {currency} per GB"
    if size is None:
        return None, f"{price}, size unknown"
    gigabytes = Decimal(size) / _GIGABYTE
    return (Decimal(rate) * gigabytes).quantize(_CENT, ROUND_HALF_UP), price


def teardown_plan(
    stack: Stack,
    contents: Sequence[StackResource],
    policies: Mapping[str, str],
    kept: Sequence[Kept],
    back: Mapping[str, Any] | None = None,
    *,
    beside: Sequence[DatabaseBeside] = (),
) -> dict[str, Any]:
    """Describe what goes and what stays, as JSON and as text for a person.

    ``beside`` are databases that restores have left, which go as the stack's own does. ``back`` is
    whether a cluster could be made of what stays (``wayBack``); None for a trial. ``monthlyCost``
    is the sum of what has a price; ``notPriced`` names what it does not cover.
    """
    going = [
        resource
        for resource in contents
        if policies.get(resource.logical_id, "Delete") in {"Delete", "Snapshot"}
    ]
    known = [one.monthly for one in kept if one.monthly is not None]
    trial = is_trial(stack.parameters)
    plan = {
        "stack": stack.name,
        "stackId": stack.stack_id,
        "stackStatus": stack.status,
        "trial": trial,
        "goes": dict(sorted(Counter(resource.resource_type for resource in going).items())),
        "formerDatabases": [one.name for one in beside if not one.copy],
        "kept": [one.as_dict() for one in kept],
        "wayBack": back,
        "monthlyCost": f"{sum(known, Decimal(0)):.2f}",
        "notPriced": [one.logical_id for one in kept if one.monthly is None],
        "currency": price_list()["currency"],
    }
    return {**plan, "text": _text(stack, going, kept, plan)}


def _text(
    stack: Stack,
    going: Sequence[StackResource],
    kept: Sequence[Kept],
    plan: Mapping[str, Any],
) -> str:
    head = f"Teardown of stack {stack.name} ({stack.status}):"
    lines = [f"{head} {len(going)} resources are deleted, {len(kept)} are retained."]
    if plan["trial"]:
        lines.append("It is a trial: its buckets are emptied, and nothing is retained.")
    lines += [f"deleted: {number} {kind}" for kind, number in plan["goes"].items()]
    lines += [
        f"deleted: former database {name}, which a restore has replaced"
        + ("" if plan["trial"] else "; its final snapshot is retained")
        for name in plan["formerDatabases"]
    ]
    for one in kept:
        cost = (
            one.price
            if one.monthly is None
            else f"{one.monthly:.2f} {plan['currency']} a month ({one.price})"
        )
        lines += [
            (f"retained: {one.what} {one.physical_id}: {cost}"),
            f"      to delete: {one.removal}",
        ]
    if kept:
        total, open_ = f"{plan['monthlyCost']} {plan['currency']} a month", plan["notPriced"]
        lines.append(
            f"Retention costs at least {total} at the current size; unknown for {', '.join(open_)}."
            if open_
            else f"Retention costs {total} at the current size."
        )
    if plan["wayBack"] is not None:
        lines.append(_way_back(plan["wayBack"]))
    return "\n".join(lines)


def _way_back(back: Mapping[str, Any]) -> str:
    found = back["restorable"]
    if found is None:
        return (
            f"No cluster can be made of it again: {back['why']}. The final snapshot is newer than "
            "every backup of the brokers, which cannot be restored beside it: take a backup with a "
            "snapshot first."
        )
    return (
        f"A cluster can be made of it again as of {found['at']} (backup {found['backup']}, "
        f"snapshot {found['snapshot']}, {found['partitions']} partitions); what came after "
        "is lost. Take a backup with a snapshot first to lose less."
    )


def absent_plan(stack: str, cluster: str) -> dict[str, Any]:
    """Report that there is nothing to remove."""
    return {
        "stack": stack,
        "stackId": "",
        "stackStatus": StackState.ABSENT.value,
        "trial": False,
        "goes": {},
        "formerDatabases": [],
        "kept": [],
        "wayBack": None,
        "monthlyCost": "0.00",
        "notPriced": [],
        "currency": price_list()["currency"],
        "text": f"There is no stack {stack}. Resources retained by earlier teardowns have the tag "
        f"{TAG_CLUSTER}={cluster} and are listed in their reports.",
    }


# --- when it gets stuck ------------------------------------------------------------------------


_REMEDIES: Final[tuple[tuple[str, str], ...]] = (
    ("not empty", "empty the bucket, all versions too"),
    ("deletion protection", "find out who enabled deletion protection again"),
    ("rotected", "find out who enabled deletion protection again"),
    ("has a dependent object", "remove what depends on it (a network interface, a rule)"),
    ("DependencyViolation", "remove what depends on it (a network interface, a rule)"),
    ("in use", "remove what else uses it"),
    ("not authorized", "grant ClusterDeploymentRole the permission named"),
    ("AccessDenied", "grant ClusterDeploymentRole the permission named"),
)


def what_blocks(events: Sequence[StackEvent], stack: str) -> tuple[str, str]:
    """Name what could not be deleted and why, and the remedy. Events are oldest first."""
    latest = {event.logical_id: event for event in events if event.logical_id != stack}
    failed = [event for event in latest.values() if event.status == "DELETE_FAILED"]
    if not failed:
        return "CloudFormation names no resource", "check the stack's events"
    words = "; ".join(
        f"{event.logical_id} ({event.resource_type}): {event.reason or 'no reason given'}"
        for event in failed
    )
    remedies = dict.fromkeys(
        f"for {event.logical_id}, {remedy}"
        for event in failed
        for sign, remedy in _REMEDIES
        if sign in event.reason
    )
    return words, "; ".join(remedies) or "fix the cause given in the reason"
