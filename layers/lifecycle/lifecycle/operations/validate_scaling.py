"""Check a scale request before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.core.freeze import refuse_if_frozen
from lifecycle.core.names import stack_name
from lifecycle.core.scale_request import read_scale_request
from lifecycle.core.stack import is_ours
from lifecycle.errors import ClusterUnknown

if TYPE_CHECKING:
    from lifecycle.ports import Stacks


def validate_scaling(raw: object, *, control_stack: str, stacks: Stacks) -> dict[str, Any]:
    """Validate ``{"clusterName": "demo", "count": 4}``; give it as the state machine carries it.

    Or ``{"clusterName": "demo", "partitions": 6}``: the other number is 0 then.
    Raises ``InvalidRequest`` that names every wrong field, ``ClusterUnknown``, ``ClusterFrozen``.
    """
    request = read_scale_request(raw)
    name = stack_name(control_stack, request.cluster)
    stack = stacks.describe(name)
    if (
        stack is None
        or "ContractVersion" not in stack.outputs
        or not is_ours(stack, control_stack, request.cluster)
    ):
        raise ClusterUnknown(f"There is no cluster {request.cluster} in {control_stack}.")
    refuse_if_frozen(name, stack.tags)
    return {
        "cluster": request.cluster,
        "stack": name,
        "count": request.count,
        "partitions": request.partitions,
    }
