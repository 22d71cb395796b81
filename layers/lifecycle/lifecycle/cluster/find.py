"""Find the stack of a cluster that a request names: the only place that decides which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.cluster.names import held_name, stack_name
from lifecycle.cluster.stack import is_ours, is_running, refuse_foreign_services
from lifecycle.errors import ClusterNotFound, StackNotUsable

if TYPE_CHECKING:
    from lifecycle.cluster.ports import ClusterStacks, Stacks
    from lifecycle.cluster.stack import Stack


def find_stack(stacks: Stacks | ClusterStacks, control_stack: str, cluster: str) -> Stack:
    """Return the stack with the cluster's name and our tags, whatever its state.

    Raises ``ClusterNotFound``, also for a stack of that name that another control plane tagged,
    and ``StackNotUsable`` for one whose outputs describe a cluster that is not its own.
    """
    stack = stacks.describe(stack_name(control_stack, cluster))
    if stack is None or not is_ours(stack, control_stack, cluster):
        raise ClusterNotFound(f"There is no cluster {cluster} in {control_stack}.")
    # Outputs without a contract identify a cluster as well, to a function that reads one of them.
    if stack.outputs:
        refuse_mistaken(stacks, stack, control_stack, cluster)
    return stack


def find_cluster(stacks: Stacks | ClusterStacks, control_stack: str, cluster: str) -> Stack:
    """Return the stack of a cluster that was built: its outputs are the contract.

    Raises as ``find_stack`` does.
    """
    stack = find_stack(stacks, control_stack, cluster)
    if not stack.outputs.complete:
        raise ClusterNotFound(f"There is no cluster {cluster} in {control_stack}.")
    return stack


def find_own_cluster(stacks: Stacks | ClusterStacks, control_stack: str, cluster: str) -> Stack:
    """Return the stack of a cluster whose services or ways in may be changed now.

    Raises as ``find_cluster`` does, ``ClusterFrozen``, and ``StackNotUsable`` for a cluster that
    something else made and for a stack that CloudFormation changes.
    """
    stack = find_cluster(stacks, control_stack, cluster)
    refuse_foreign_services(stack)
    refuse_if_frozen(stack.name, stack.tags)
    if is_running(stack.status):
        raise StackNotUsable(
            f"Stack {stack.name} is in {stack.status}.",
            next_step="Wait until it has finished, then start the same request again.",
        )
    return stack


def refuse_mistaken(
    stacks: Stacks | ClusterStacks, stack: Stack, control_stack: str, cluster: str
) -> None:
    """Raise ``StackNotUsable`` for a stack that describes a cluster which another stack holds.

    Outputs are what the stack's author wrote into them. So they have to name the cluster of the
    stack's tags, and an ECS cluster that no other stack holds: the stack's own, or an adopted one
    that this stack alone exports.
    """
    outputs = stack.outputs
    if outputs.cluster_name != cluster:
        raise StackNotUsable(
            f"Stack {stack.name} has {outputs.cluster_name!r} in its output ClusterName; allowed "
            f"is {cluster!r}, as in its tag camunda:cluster.",
            next_step="Deploy the stack again with its own cluster's name.",
        )
    ecs_cluster = outputs.ecs_cluster
    if not outputs.adopted:
        if ecs_cluster != stack.name:
            raise StackNotUsable(
                f"Stack {stack.name} has {ecs_cluster!r} in its output EcsClusterName; allowed is "
                f"{stack.name!r}: an ECS cluster that is provisioned has its stack's name.",
                next_step="Provision the cluster again; adopt it if another tool created it.",
            )
        return
    # Roles may read only stacks that the control stack's name begins.
    ours = ecs_cluster != stack.name and ecs_cluster.startswith(f"{control_stack}-")
    if ours and stacks.describe(ecs_cluster) is not None:
        raise _held(stack, f"stack {ecs_cluster} provisioned it")
    if stack.exports.get("EcsClusterName") != held_name(ecs_cluster):
        raise _held(stack, f"the stack does not export it as {held_name(ecs_cluster)}")


def refuse_another(stack: Stack, ecs_cluster: str) -> None:
    """Raise ``StackNotUsable`` if a stack names another ECS cluster than the operation holds."""
    if stack.outputs.ecs_cluster != ecs_cluster:
        raise StackNotUsable(
            f"Stack {stack.name} has {stack.outputs.ecs_cluster!r} in its output EcsClusterName; "
            f"allowed is {ecs_cluster!r}, which this operation holds. The stack was changed "
            "meanwhile.",
            next_step="Restore the stack, then start the same operation again.",
        )


def _held(stack: Stack, why: str) -> StackNotUsable:
    return StackNotUsable(
        f"Stack {stack.name} does not hold the ECS cluster {stack.outputs.ecs_cluster} that it "
        f"adopts: {why}. One stack holds an ECS cluster.",
        next_step="Deploy stacks/adopted-cluster.yaml of this version as that stack; "
        "CloudFormation rejects the export while another stack has it. Delete the stack if "
        "another one manages the cluster.",
    )
