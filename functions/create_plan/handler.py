"""Create the change set of a plan and schedule its expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.certificates import rds_root_certificate
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.common import cluster_template, settings
from lifecycle.wiring.plans import planner

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    request = event["request"]
    return planner().create(
        Operation.from_state(event["operation"]),
        stack=request["stack"],
        requested=request["parameters"],
        requested_tags=request["tags"],
        requested_settings=request["settings"],
        replace=request["replace"],
        template=cluster_template(),
        database_ca=rds_root_certificate(settings().region),
    )
