"""What to do about the cluster's stack, from what CloudFormation reports.

The stack holds the infrastructure and registers revisions of the tasks. The ECS services are not
in it, so CloudFormation does not know what running brokers stand on: a change that would replace
or remove that is refused here, and by the stack policy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.errors import StackNotUsable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Stack:
    """A CloudFormation stack as described by AWS. Times are ISO 8601 in UTC.

    ``exports`` has the name under which an output is exported, by the output's name.
    ``changed_at`` is when it was last updated, or else created, and ``created_at`` when it was
    created.
    """

    name: str
    stack_id: str
    status: str
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: ClusterOutputs = field(default_factory=ClusterOutputs)
    exports: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    termination_protected: bool = False
    changed_at: str = ""
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One line of a stack's history, oldest first in every list of them."""

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
    """One change of a change set. ``replacement`` is True, False or Conditional, as AWS reports it.

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
    tags: Mapping[str, str] = field(default_factory=dict)


# What services, their revisions and running tasks refer to. CloudFormation removes what it replaced
# as soon as the stack is done, and the brokers that stand on it fail. No plan may.
BALANCER: Final = "AWS::ElasticLoadBalancingV2::LoadBalancer"
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
        "AWS::Cognito::UserPool",
    }
)
PRECIOUS_TYPES: Final = RUNNING_TYPES | DATA_TYPES


def is_ours(stack: Stack, control_stack: str, cluster: str) -> bool:
    """Whether a stack carries the tags of that cluster under that control stack.

    A name is not enough: the names of one control stack may begin with another's.
    """
    owner = (stack.tags.get(TAG_CONTROL_PLANE), stack.tags.get(TAG_CLUSTER))
    return owner == (control_stack, cluster)


def ecs_cluster_of(stack: Stack) -> str:
    """Name of the ECS cluster of a cluster's stack, which is the stack's own until it has outputs.

    ``stacks/cluster.yaml`` names the ECS cluster after its stack; an adoption names another one.
    """
    return stack.outputs.get("EcsClusterName") or stack.name


def refuse_foreign_services(stack: Stack) -> None:
    """Raise ``StackNotUsable`` for a cluster whose ECS services are not this version's to change.

    So are those of an adopted cluster, and those that a former version kept in the stack.
    """
    if stack.outputs.adopted:
        raise StackNotUsable(
            f"Stack {stack.name} describes a cluster created by another tool; it is left alone.",
            next_step=(
                "Change the cluster with the tool that created it; plan, scale and health work "
                "here."
            ),
        )
    if stack.outputs.has_services_inside:
        raise StackNotUsable(
            f"Stack {stack.name} was created by a version that kept the ECS services in the "
            "stack; this version manages them outside it and cannot take over such a stack.",
            next_step="Back the cluster up, tear it down with the version that created it, and "
            "provision it again.",
        )


def is_half_made(stack: Stack) -> bool:
    """Return whether the creation of a stack is incomplete, with every attempt to resume it since.

    Such a stack has no complete state to roll back to: RollbackStack would delete it. A stack has
    outputs once it was complete.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackStack.html
    """
    return stack.status == "CREATE_FAILED" or (
        stack.status == "UPDATE_FAILED" and not stack.outputs
    )


def present_parameters(stack: Stack | None) -> Mapping[str, str]:
    """Parameter values of a stack that has any; a stack that only holds change sets has none."""
    return stack.parameters if stack is not None and stack.status != "REVIEW_IN_PROGRESS" else {}


def present_tags(stack: Stack | None) -> Mapping[str, str]:
    """Tags that a stack carries, those included that were set manually."""
    return stack.tags if stack is not None else {}


def first_failure(events: Sequence[StackEvent]) -> StackEvent | None:
    """Find the failure that caused the others: the first that is not a mere cancellation."""
    for event in events:
        if event.status.endswith("_FAILED") and "cancelled" not in event.reason.lower():
            return event
    return None


def is_done(status: str) -> bool:
    """Return whether a stack's operation ended well."""
    return status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


def is_running(status: str) -> bool:
    """Return whether CloudFormation is changing the stack; clean-up no longer changes services."""
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


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
