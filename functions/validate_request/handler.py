"""Validate a provision or plan request; read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.observability import Event, entry_point
from lifecycle.provisioning.validate import (
    as_state,
    plan_as_state,
    validate_plan,
    validate_request,
)
from lifecycle.services.live_partitions import live_partitions
from lifecycle.wiring.common import probe, registries, settings, stacks

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    raw, control_stack = event["input"], settings().control_stack
    declarations, present = cluster_parameters(), stacks()
    if event["machine"] == "plan":
        plan = validate_plan(
            raw,
            control_stack=control_stack,
            declarations=declarations,
            stacks=present,
            registries=registries(),
        )
        state = plan_as_state(plan, control_stack)
    else:
        request = validate_request(
            raw,
            control_stack=control_stack,
            declarations=declarations,
            stacks=present,
            registries=registries(),
        )
        state = as_state(request, control_stack)
    return live_partitions(raw, control_stack=control_stack, stacks=present, probe=probe).into(
        state
    )
