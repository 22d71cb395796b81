"""Ask CloudFormation for the change set of one pass."""

from __future__ import annotations

from typing import Any

from lifecycle.certificates import rds_root_certificate
from lifecycle.core.operation import Operation
from lifecycle.observability import Event, entry_point
from lifecycle.operations.change_stack import Pass
from lifecycle.wiring import cluster_template, settings, stack_changer


@entry_point
def handler(event: Event, _context: Any) -> Event:
    request = event["request"]
    return stack_changer().plan(
        Operation.from_state(event["operation"]),
        stack=request["stack"],
        which=Pass(event["pass"]),
        requested=request["parameters"],
        template=cluster_template(),
        database_ca=rds_root_certificate(settings().region),
        polls=event["polls"],
    )
