"""Check a provision request before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.core.names import is_cluster_name, stack_name
from lifecycle.core.request import ProvisionRequest, read_provision_request

if TYPE_CHECKING:
    from lifecycle.ports import Stacks


def validate_request(
    raw: object,
    *,
    control_stack: str,
    declarations: Mapping[str, Mapping[str, object]],
    stacks: Stacks,
) -> ProvisionRequest:
    """Validate a request against the template and, if there is one, the cluster's stack.

    Raises ``InvalidRequest`` that names every wrong field.
    """
    present: Mapping[str, str] = {}
    if isinstance(raw, Mapping) and is_cluster_name(raw.get("clusterName")):
        stack = stacks.describe(stack_name(control_stack, raw["clusterName"]))
        if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            present = stack.parameters
    return read_provision_request(raw, declarations, present)


def as_state(request: ProvisionRequest, control_stack: str) -> dict[str, Any]:
    """Give the request as the state machine carries it."""
    return {
        "cluster": request.cluster,
        "stack": stack_name(control_stack, request.cluster),
        "parameters": dict(request.parameters),
        "onStartFailure": request.on_start_failure,
    }
