"""Find the stack of a cluster that a request names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.names import stack_name
from lifecycle.cluster.stack import is_ours
from lifecycle.errors import ClusterNotFound

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Stacks
    from lifecycle.cluster.stack import Stack


def find_cluster(stacks: Stacks, control_stack: str, cluster: str) -> Stack:
    """Give the stack of a cluster that was built, with our tags. Raises ``ClusterNotFound``."""
    stack = stacks.describe(stack_name(control_stack, cluster))
    built = stack is not None and "ContractVersion" in stack.outputs
    if stack is None or not built or not is_ours(stack, control_stack, cluster):
        raise ClusterNotFound(f"There is no cluster {cluster} in {control_stack}.")
    return stack
