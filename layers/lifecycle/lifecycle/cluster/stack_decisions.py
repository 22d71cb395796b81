"""What to do about the cluster's stack, from its state and its change set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.stack import (
    BALANCER,
    DATA_TYPES,
    PRECIOUS_TYPES,
    RUNNING_TYPES,
    ChangeSet,
    ResourceChange,
    Stack,
    is_half_made,
    is_ours,
    present_parameters,
    refuse_foreign_services,
)
from lifecycle.errors import ChangeSetRefused, CreationIncomplete, StackNotUsable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


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
    "ROLLBACK_COMPLETE": "Its creation was rolled back, so it is unusable. Delete the stack, "
    "then start again.",
    "ROLLBACK_FAILED": "A rollback of its creation failed. Check its events, delete the stack "
    "(retaining what cannot be deleted), then start again.",
    "DELETE_FAILED": "Its deletion failed. Check its events, complete the deletion, then start "
    "again.",
    "DELETE_IN_PROGRESS": "It is being deleted. Wait until it is deleted, then start again.",
    "UPDATE_ROLLBACK_FAILED": "A rollback failed. Use 'continue update rollback' in "
    "CloudFormation, then start again.",
}


def decide_on(stack: Stack | None, control_stack: str, cluster: str) -> StackDecision:
    """Decide whether to create, update, roll back or wait.

    Raises ``StackNotUsable`` for a state that only a person can resolve, and for a stack that
    does not belong to this cluster.
    """
    if stack is None:
        return StackDecision(StackAction.CREATE, "No stack of that name exists yet.")
    if stack.status == "REVIEW_IN_PROGRESS":
        return StackDecision(StackAction.CREATE, "The stack holds only a change set so far.")
    if not is_ours(stack, control_stack, cluster):
        raise StackNotUsable(
            f"A stack named {stack.name} exists but does not carry the tags of cluster "
            f"{cluster} of {control_stack}; it is left alone.",
            next_step="Choose another cluster name, or delete that stack if it is obsolete.",
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
            "Its creation failed; completed resources were kept, and an update continues it.",
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
        f"Stack {stack.name} is in {stack.status}, a state unknown to this version.",
        next_step="Bring the stack to a complete state in CloudFormation, then start again.",
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
    """Raise ``StackNotUsable`` for an incomplete update: a plan needs a stable stack."""
    if stack is not None and decision.action is StackAction.ROLL_BACK:
        raise StackNotUsable(
            f"Stack {stack.name} is in {stack.status}. {decision.reason}",
            next_step="Provision the cluster without a plan, with parameters {}: that rolls the "
            "failed update back first. Then plan again.",
        )


def refuse_unfinished(stack: Stack | None, change_set: ChangeSet) -> None:
    """Raise where a change set cannot complete an incomplete creation.

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
            next_step="Nothing was changed. Omit the parameters that cause this, or tear down "
            "the cluster, which never ran, and provision it again.",
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


PROTECTED_BALANCERS: Final = "LoadBalancerDeletionProtection"


def protected(changes: Sequence[ResourceChange], present: Mapping[str, str]) -> list[str]:
    """Load balancers that a change would delete while they are protected from it.

    CloudFormation deletes what it replaced after the update: with the protection on, it leaves the
    old load balancer behind and completes. ``present`` are the stack's own parameters; a stack
    from before the parameter has none, and no protection.
    """
    if present.get(PROTECTED_BALANCERS) != "true":
        return []
    return [
        change.logical_id
        for change in changes
        if change.resource_type == BALANCER and (change.action == "Remove" or change.replaces)
    ]


def refuse_protected(changes: Sequence[ResourceChange], present: Mapping[str, str]) -> None:
    """Raise ``ChangeSetRefused`` where protected load balancers would be replaced."""
    held = protected(changes, present)
    if held:
        raise ChangeSetRefused(
            f"The change would replace {', '.join(held)}, which {PROTECTED_BALANCERS} true "
            "protects from deletion.",
            next_step=f"Nothing was changed. First set {PROTECTED_BALANCERS} to false in a change "
            "of its own, then start this one again.",
        )


def refuse_dangerous(changes: Sequence[ResourceChange], named: Collection[str] = ()) -> None:
    """Raise ``ChangeSetRefused`` where what brokers stand on, or data, would be lost.

    ``named`` are logical ids that a reviewed plan names: data among them may be replaced. What
    services refer to may not, even if a plan names it.
    """
    dangerous = dangers(changes, named)
    if dangerous:
        raise ChangeSetRefused(
            "The change would affect stateful resources or resources that brokers depend on: "
            + "; ".join(dangerous)
            + ".",
            next_step="Nothing was changed. Omit the parameters that cause this. To replace a "
            "stateful resource on purpose, create a plan that lists it in its field "
            "replace; resources that running brokers depend on are never replaced.",
        )


def refuse_unreplaced(changes: Sequence[ResourceChange], named: Collection[str]) -> None:
    """Raise ``ChangeSetRefused`` where data stays that a restore has to replace.

    Brokers that go back beside a database of later would not fit it.
    """
    # What comes through a parameter is Conditional where CloudFormation cannot tell before:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
    replaced = {one.logical_id for one in changes if one.replaces}
    kept = sorted(set(named) - replaced)
    if kept:
        raise ChangeSetRefused(
            f"CloudFormation would not replace {', '.join(kept)}, which the restore has to: the "
            "brokers would go back and their database would not.",
            next_step="The change set was not executed. Start the cluster as it was by "
            "provisioning it with its present parameters, or restore another backup.",
        )


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
