"""What to do about the cluster's stack, from what CloudFormation says of it.

The stack holds the infrastructure and registers revisions of the tasks. The ECS services are not
in it, so CloudFormation does not know what running brokers stand on: a change that would replace
or remove that is refused here, and by the stack policy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.errors import ChangeSetRefused, CreationIncomplete, StackNotUsable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Stack:
    """A CloudFormation stack as described by AWS. Times are ISO 8601 in UTC.

    ``changed_at`` is when it was last updated, or else created.
    """

    name: str
    stack_id: str
    status: str
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    termination_protected: bool = False
    changed_at: str = ""


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One line of a stack's history, oldest first in every list of them."""

    event_id: str
    at: str
    logical_id: str
    resource_type: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StackResource:
    """One resource that a stack holds."""

    logical_id: str
    resource_type: str
    physical_id: str


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """One change of a change set. ``replacement`` is True, False or Conditional, as AWS says.

    ``properties`` are the names of those that change; ``policy_action`` is what becomes of the
    present resource: Delete, Retain, Snapshot, or the same with ReplaceAnd before it.
    """

    action: str
    logical_id: str
    resource_type: str
    replacement: str = ""
    policy_action: str = ""
    properties: tuple[str, ...] = ()

    @property
    def replaces(self) -> bool:
        """Whether a new resource takes the place of the present one, or may."""
        return self.replacement in {"True", "Conditional"}


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set. ``status`` is ``EMPTY`` when nothing would change.

    Other values: ``PENDING``, ``READY``, ``EXECUTED``, ``FAILED``, ``GONE``.
    """

    arn: str
    status: str
    reason: str = ""
    changes: tuple[ResourceChange, ...] = ()
    name: str = ""
    stack: str = ""
    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


class StackAction(StrEnum):
    """What the next step on a stack is."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    ROLL_BACK = "ROLL_BACK"
    WAIT = "WAIT"


@dataclass(frozen=True, slots=True)
class StackDecision:
    """An action and why."""

    action: StackAction
    reason: str


_SETTLED: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
_NEEDS_A_PERSON: Final[Mapping[str, str]] = {
    "ROLLBACK_COMPLETE": "Its creation was rolled back, so nothing in it can be used. Delete the "
    "stack, then start again.",
    "ROLLBACK_FAILED": "A rollback of its creation got stuck. Look at its events, delete the "
    "stack (retaining what cannot be deleted), then start again.",
    "DELETE_FAILED": "Its deletion got stuck. Look at its events, finish the deletion, then "
    "start again.",
    "DELETE_IN_PROGRESS": "It is being deleted. Wait until it is gone, then start again.",
    "UPDATE_ROLLBACK_FAILED": "A rollback got stuck. Use 'continue update rollback' in "
    "CloudFormation, then start again.",
}
# What services, their revisions and running tasks refer to. CloudFormation removes what it replaced
# as soon as the stack is done, and the brokers that stand on it fail. No plan may.
RUNNING_TYPES: Final = frozenset(
    {
        "AWS::EC2::SecurityGroup",
        "AWS::ECS::Cluster",
        "AWS::EFS::MountTarget",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::IAM::Role",
        "AWS::ServiceDiscovery::Service",
        "AWS::ServiceDiscovery::PrivateDnsNamespace",
        "AWS::ServiceDiscovery::HttpNamespace",
    }
)
# Replacing or removing one of these loses data, or what is needed to read it. A plan may name it.
DATA_TYPES: Final = frozenset(
    {
        "AWS::EFS::FileSystem",
        "AWS::EFS::AccessPoint",
        "AWS::RDS::DBCluster",
        "AWS::S3::Bucket",
        "AWS::KMS::Key",
        "AWS::SecretsManager::Secret",
        "AWS::Logs::LogGroup",
    }
)
PRECIOUS_TYPES: Final = RUNNING_TYPES | DATA_TYPES


def decide_on(stack: Stack | None, control_stack: str, cluster: str) -> StackDecision:
    """Decide whether to create, update, roll back or wait.

    Raises ``StackNotUsable`` for a state that only a person can resolve, and for a stack that
    does not belong to this cluster.
    """
    if stack is None:
        return StackDecision(StackAction.CREATE, "There is no stack of that name yet.")
    if stack.status == "REVIEW_IN_PROGRESS":
        return StackDecision(StackAction.CREATE, "The stack holds only a change set so far.")
    if not is_ours(stack, control_stack, cluster):
        raise StackNotUsable(
            f"A stack named {stack.name} exists but does not carry the tags of cluster "
            f"{cluster} of {control_stack}; it is left alone.",
            next_step="Choose another cluster name, or remove that stack if it is yours.",
        )
    refuse_foreign_services(stack)
    if stack.status in _NEEDS_A_PERSON:
        raise StackNotUsable(
            f"Stack {stack.name} is in {stack.status}{_because(stack.reason)}.",
            next_step=_NEEDS_A_PERSON[stack.status],
        )
    if is_half_made(stack):
        return StackDecision(
            StackAction.UPDATE,
            "Its creation failed; what was completed was kept, and an update continues it.",
        )
    if stack.status == "UPDATE_FAILED":
        return StackDecision(
            StackAction.ROLL_BACK,
            "An update failed with rollback disabled; CloudFormation requires RollbackStack first.",
        )
    if stack.status in _SETTLED:
        return StackDecision(StackAction.UPDATE, f"The stack is in {stack.status}.")
    if stack.status.endswith("_IN_PROGRESS"):
        return StackDecision(
            StackAction.WAIT, f"CloudFormation is still busy with it ({stack.status})."
        )
    raise StackNotUsable(
        f"Stack {stack.name} is in {stack.status}, a state that this version does not know.",
        next_step="Bring the stack to a complete state in CloudFormation, then start again.",
    )


def is_ours(stack: Stack, control_stack: str, cluster: str) -> bool:
    """Whether a stack carries the tags of that cluster under that control stack.

    A name is not enough: the names of one control stack may begin with another's.
    """
    owner = (stack.tags.get(TAG_CONTROL_PLANE), stack.tags.get(TAG_CLUSTER))
    return owner == (control_stack, cluster)


def refuse_foreign_services(stack: Stack) -> None:
    """Raise ``StackNotUsable`` for a cluster whose ECS services are not this version's to change.

    So are those of an adopted cluster, and those that a former version kept in the stack.
    """
    if stack.outputs.get("Adopted") == "true":
        raise StackNotUsable(
            f"Stack {stack.name} describes a cluster that something else made; it is left alone.",
            next_step="Change the cluster with what made it; plan, scale and health work here.",
        )
    if has_services_inside(stack):
        raise StackNotUsable(
            f"Stack {stack.name} was made by a version that kept the ECS services in it; this "
            "version has them outside, and does not take such a stack over.",
            next_step="Back the cluster up, tear it down with the version that made it, and "
            "provision it anew.",
        )


def has_services_inside(stack: Stack) -> bool:
    """Whether a stack is of the former kind, which held the ECS services itself."""
    return stack.outputs.get("ContractVersion") == "1" and stack.outputs.get("Adopted") != "true"


def is_half_made(stack: Stack) -> bool:
    """Whether the creation of a stack stopped half-way, and so did whatever went on with it since.

    Such a stack has no complete state to roll back to: RollbackStack would delete it. A stack has
    outputs once it was complete.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackStack.html
    """
    return stack.status == "CREATE_FAILED" or (
        stack.status == "UPDATE_FAILED" and not stack.outputs
    )


def keeps_what_worked(stack: Stack | None) -> bool:
    """Whether a failure of the next change leaves what worked, instead of rolling back.

    Only until a stack was complete: nothing depends on it yet, and starting again continues.
    An update that does not roll back cannot replace anything ("Replacement type updates not
    supported on stack with disable-rollback"), and a changed task definition is a replacement.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
    """
    return stack is None or stack.status == "REVIEW_IN_PROGRESS" or is_half_made(stack)


def refuse_stuck(stack: Stack | None, decision: StackDecision) -> None:
    """Raise ``StackNotUsable`` where an update stopped half-way: plans rest on what is settled."""
    if stack is not None and decision.action is StackAction.ROLL_BACK:
        raise StackNotUsable(
            f"Stack {stack.name} is in {stack.status}. {decision.reason}",
            next_step="Provision the cluster without a plan, with parameters {}: that rolls the "
            "failed update back first. Then plan again.",
        )


def refuse_unfinished(stack: Stack | None, change_set: ChangeSet) -> None:
    """Raise where a change set cannot finish a creation that stopped half-way.

    ``CreationIncomplete`` if CloudFormation finds nothing to do although resources are missing,
    ``ChangeSetRefused`` if it would have to replace what is there, which it does not do in a stack
    that keeps what worked.
    """
    if stack is None or not is_half_made(stack):
        return
    if change_set.status == "EMPTY":
        raise CreationIncomplete(
            f"The creation of stack {stack.name} failed{_because(stack.reason)}, and "
            "CloudFormation returns an empty change set for it."
        )
    replaced = [change.logical_id for change in change_set.changes if change.replacement == "True"]
    if replaced:
        raise ChangeSetRefused(
            f"The creation of stack {stack.name} failed, and until it completes CloudFormation "
            f"does not replace {', '.join(sorted(replaced))}.",
            next_step="Nothing was changed. Leave out the parameters that lead to this, or tear "
            "the cluster down, which never ran, and provision it anew.",
        )


def _because(reason: str) -> str:
    return f": {reason.rstrip('.')}" if reason else ""


def machine_parameters(*, control_stack: str, cluster: str, database_ca: str) -> dict[str, str]:
    """Parameters that no request may set."""
    return {
        "ControlStack": control_stack,
        "ClusterName": cluster,
        "DatabaseCaCertificate": database_ca,
    }


def present_parameters(stack: Stack | None) -> Mapping[str, str]:
    """Parameter values of a stack that has any; a stack that only holds change sets has none."""
    return stack.parameters if stack is not None and stack.status != "REVIEW_IN_PROGRESS" else {}


def stack_parameters(
    *,
    declarations: Mapping[str, Mapping[str, object]],
    stack: Stack | None,
    requested: Mapping[str, str],
    by_machine: Mapping[str, str],
) -> dict[str, str]:
    """Every parameter of the next change set that has another value than the template's default.

    A parameter that the request does not name keeps its present value on a living stack, so that
    a template's new default never changes a cluster by surprise.
    """
    chosen = {**present_parameters(stack), **requested, **by_machine}
    return {name: chosen[name] for name in declarations if name in chosen}


def present_tags(stack: Stack | None) -> Mapping[str, str]:
    """Tags that a stack carries, those included that somebody set by hand."""
    return stack.tags if stack is not None else {}


def dangers(changes: Sequence[ResourceChange], named: Collection[str] = ()) -> list[str]:
    """Changes that would replace or remove what brokers stand on, or data not ``named``."""
    return [
        f"{change.action.lower() if change.action == 'Remove' else 'replace'} "
        f"{change.logical_id} ({change.resource_type})"
        for change in changes
        if (change.action == "Remove" or change.replaces)
        and (
            change.resource_type in RUNNING_TYPES
            or (change.resource_type in DATA_TYPES and change.logical_id not in named)
        )
    ]


def refuse_dangerous(changes: Sequence[ResourceChange], named: Collection[str] = ()) -> None:
    """Raise ``ChangeSetRefused`` where what brokers stand on, or data, would be lost.

    ``named`` are logical ids that a reviewed plan names: data among them may be replaced. What
    services refer to may not, whoever names it.
    """
    dangerous = dangers(changes, named)
    if dangerous:
        raise ChangeSetRefused(
            "The change would touch what holds data or what brokers stand on: "
            + "; ".join(dangerous)
            + ".",
            next_step="Nothing was changed. Leave out the parameters that lead to this. If data "
            "shall really be replaced, make a plan that names it in its field replace; what "
            "running brokers stand on is never replaced.",
        )


def first_failure(events: Sequence[StackEvent]) -> StackEvent | None:
    """Find the failure that caused the others: the first that is not a mere cancellation."""
    for event in events:
        if event.status.endswith("_FAILED") and "cancelled" not in event.reason.lower():
            return event
    return None


def is_done(status: str) -> bool:
    """Tell whether a stack's operation ended well."""
    return status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


def is_running(status: str) -> bool:
    """Tell whether CloudFormation still works on the stack; clean-up no longer changes services."""
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def stack_policy(lifted: Collection[str] = ()) -> str:
    """Stack policy (JSON) that keeps CloudFormation from replacing or removing what is precious.

    ``lifted`` are logical ids that a reviewed plan may replace.
    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html
    """
    allow = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    what = (
        {"NotResource": [f"LogicalResourceId/{name}" for name in sorted(lifted)]}
        if lifted
        else {"Resource": "*"}
    )
    deny = {
        "Effect": "Deny",
        "Action": ["Update:Replace", "Update:Delete"],
        "Principal": "*",
        **what,
        "Condition": {"StringEquals": {"ResourceType": sorted(PRECIOUS_TYPES)}},
    }
    return json.dumps({"Statement": [allow, deny]})


@dataclass(frozen=True, slots=True)
class StackProgress:
    """How far CloudFormation is: resources done and resources it works on."""

    done: int
    working: tuple[str, ...]


def progress_of(events: Sequence[StackEvent], name: str) -> StackProgress:
    """Count resources from the events of one operation, oldest first; ``name`` is the stack's."""
    latest = {event.logical_id: event for event in events if event.logical_id != name}
    return StackProgress(
        done=sum(1 for event in latest.values() if event.status.endswith("_COMPLETE")),
        working=tuple(
            sorted(key for key, event in latest.items() if event.status.endswith("_IN_PROGRESS"))
        ),
    )
