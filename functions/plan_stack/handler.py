"""Create the change set, or use the one of a reviewed plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.certificates import rds_root_certificate
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.provisioning.change_set import Restored
from lifecycle.wiring.common import cluster_template, settings
from lifecycle.wiring.plans import plan_adopter
from lifecycle.wiring.provisioning import stack_changer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    request = event["request"]
    operation = Operation.from_state(event["operation"])
    database_ca = rds_root_certificate(settings().region)
    if request["changeSet"]:
        return plan_adopter().adopt(
            operation,
            stack=request["stack"],
            change_set=request["changeSet"],
            template=cluster_template(),
            database_ca=database_ca,
            polls=event["polls"],
        )
    restored = Restored(**request["restored"]) if "restored" in request else None
    return stack_changer().plan(
        operation,
        stack=request["stack"],
        requested=request["parameters"],
        requested_tags=request["tags"],
        requested_settings=request["settings"],
        # A restore was reviewed as a whole before it began.
        approve=lambda: None if restored else plan_adopter().refuse_alone(operation),
        template=cluster_template(),
        database_ca=database_ca,
        polls=event["polls"],
        restored=restored,
    )
