"""Find the stack of a cluster that a request names: the only place that decides which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.names import stack_name
from lifecycle.cluster.stack import is_ours
from lifecycle.errors import ClusterNotFound

if TYPE_CHECKING:
    from lifecycle.cluster.ports import ClusterStacks, Stacks
    from lifecycle.cluster.stack import Stack


def find_stack(stacks: Stacks | ClusterStacks, control_stack: str, cluster: str) -> Stack:
    """Return the stack with the cluster's name and our tags, whatever its state.

    Raises ``ClusterNotFound``, also for a stack of that name that another control plane tagged.
    """
    stack = stacks.describe(stack_name(control_stack, cluster))
    if stack is None or not is_ours(stack, control_stack, cluster):
        raise ClusterNotFound(f"There is no cluster {cluster} in {control_stack}.")
    return stack


def find_cluster(stacks: Stacks | ClusterStacks, control_stack: str, cluster: str) -> Stack:
    """Return the stack of a cluster that was built: its outputs are the contract.

    Raises ``ClusterNotFound``.
    """
    stack = find_stack(stacks, control_stack, cluster)
    if not stack.outputs.complete:
        raise ClusterNotFound(f"There is no cluster {cluster} in {control_stack}.")
    return stack
