"""Check a request for provisioning, or for a plan of it, before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.authentication import AUTHENTICATION
from lifecycle.cluster.front_door import ZONE, ZONES
from lifecycle.cluster.names import is_cluster_name, stack_name
from lifecycle.cluster.stack import is_half_made, present_parameters, present_tags
from lifecycle.preflight import backup_gate
from lifecycle.preflight.way_back import ACCEPT
from lifecycle.provisioning.change_set import present_settings
from lifecycle.provisioning.request import (
    PlanRequest,
    ProvisionRequest,
    read_plan_request,
    read_provision_request,
)
from lifecycle.services.settings import NOTHING
from lifecycle.verification.process_instances import OPTION

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Stacks
    from lifecycle.cluster.stack import Stack
    from lifecycle.services.registries import Registries
    from lifecycle.services.settings import Settings


def validate_request(
    raw: object,
    *,
    control_stack: str,
    declarations: Mapping[str, Mapping[str, object]],
    stacks: Stacks,
    registries: Registries,
) -> ProvisionRequest:
    """Validate a request against the template and, if there is one, the cluster's stack.

    ``registries`` are those from which images may come.
    Raises ``InvalidRequest`` that names every wrong field.
    """
    present = _present(raw, control_stack, stacks)
    return read_provision_request(
        raw,
        declarations,
        present_parameters(present),
        present_tags(present),
        _settings(raw, present, stacks),
        registries=registries,
        zones=_zones(raw, control_stack, stacks),
        unfinished=present is not None and is_half_made(present),
    )


def validate_plan(
    raw: object,
    *,
    control_stack: str,
    declarations: Mapping[str, Mapping[str, object]],
    stacks: Stacks,
    registries: Registries,
) -> PlanRequest:
    """Validate a request for a plan in the same way. Raises ``InvalidRequest``."""
    present = _present(raw, control_stack, stacks)
    planned = raw.get("provision") if isinstance(raw, Mapping) else None
    return read_plan_request(
        raw,
        declarations,
        present_parameters(present),
        present_tags(present),
        _settings(planned, present, stacks),
        registries=registries,
        zones=_zones(planned, control_stack, stacks),
        unfinished=present is not None and is_half_made(present),
    )


def _present(raw: object, control_stack: str, stacks: Stacks) -> Stack | None:
    if not isinstance(raw, Mapping) or not is_cluster_name(raw.get("clusterName")):
        return None
    return stacks.describe(stack_name(control_stack, raw["clusterName"]))


def _settings(request: object, present: Stack | None, stacks: Stacks) -> Settings:
    """Read the settings that the cluster has, if the request changes any, or the login.

    The login decides which of them a broker starts with.
    """
    if not isinstance(request, Mapping):
        return NOTHING
    parameters = request.get("parameters")
    login = isinstance(parameters, Mapping) and AUTHENTICATION in parameters
    if not login and not request.get("settings"):
        return NOTHING
    return present_settings(stacks, present)


def _zones(request: object, control_stack: str, stacks: Stacks) -> tuple[str, ...] | None:
    """Read in which hosted zones clusters may have names, if the request names one.

    From the control stack itself, whose parameter also limits the roles that change the zones.
    """
    given = request.get("parameters") if isinstance(request, Mapping) else None
    if not isinstance(given, Mapping) or not given.get(ZONE):
        return None
    control = stacks.describe(control_stack)
    listed = control.parameters.get(ZONES, "") if control is not None else ""
    return tuple(filter(None, listed.split(",")))


def as_state(request: ProvisionRequest, control_stack: str) -> dict[str, Any]:
    """Return the request as the state machine carries it."""
    name = stack_name(control_stack, request.cluster)
    return {
        "cluster": request.cluster,
        "stack": name,
        # An ECS cluster that is provisioned has its stack's name.
        "ecsCluster": name,
        "parameters": dict(request.parameters),
        "tags": dict(request.tags),
        "settings": dict(request.settings),
        "changeSet": request.change_set,
        "onStartFailure": request.on_start_failure,
        ACCEPT: request.accept_no_way_back,
        backup_gate.ACCEPT: request.accept_no_backup,
        "backup": dict(request.backup),
        OPTION: request.with_instances,
    }


def plan_as_state(request: PlanRequest, control_stack: str) -> dict[str, Any]:
    """Return the request as the plan machine carries it."""
    return {
        "cluster": request.cluster,
        "stack": stack_name(control_stack, request.cluster),
        "parameters": dict(request.parameters),
        "tags": dict(request.tags),
        "settings": dict(request.settings),
        "replace": list(request.replace),
        "count": request.count,
        "partitions": request.partitions,
        "teardown": request.teardown,
    }
