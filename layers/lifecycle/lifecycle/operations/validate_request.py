"""Check a request for provisioning, or for a plan of it, before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.core.names import is_cluster_name, stack_name
from lifecycle.core.request import (
    PlanRequest,
    ProvisionRequest,
    read_plan_request,
    read_provision_request,
)
from lifecycle.core.stack import present_parameters, present_tags

if TYPE_CHECKING:
    from lifecycle.core.stack import Stack
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
    present = _present(raw, control_stack, stacks)
    return read_provision_request(
        raw, declarations, present_parameters(present), present_tags(present)
    )


def validate_plan(
    raw: object,
    *,
    control_stack: str,
    declarations: Mapping[str, Mapping[str, object]],
    stacks: Stacks,
) -> PlanRequest:
    """Validate a request for a plan in the same way. Raises ``InvalidRequest``."""
    present = _present(raw, control_stack, stacks)
    return read_plan_request(raw, declarations, present_parameters(present), present_tags(present))


def _present(raw: object, control_stack: str, stacks: Stacks) -> Stack | None:
    if not isinstance(raw, Mapping) or not is_cluster_name(raw.get("clusterName")):
        return None
    return stacks.describe(stack_name(control_stack, raw["clusterName"]))


def as_state(request: ProvisionRequest, control_stack: str) -> dict[str, Any]:
    """Give the request as the state machine carries it."""
    return {
        "cluster": request.cluster,
        "stack": stack_name(control_stack, request.cluster),
        "parameters": dict(request.parameters),
        "tags": dict(request.tags),
        "changeSet": request.change_set,
        "onStartFailure": request.on_start_failure,
    }


def plan_as_state(request: PlanRequest, control_stack: str) -> dict[str, Any]:
    """Give the request as the plan machine carries it."""
    return {
        "cluster": request.cluster,
        "stack": stack_name(control_stack, request.cluster),
        "parameters": dict(request.parameters),
        "tags": dict(request.tags),
        "replace": list(request.replace),
        "count": request.count,
        "partitions": request.partitions,
    }
