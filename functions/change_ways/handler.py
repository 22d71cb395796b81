"""Take the next step of opening or closing a way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.manage import way_changer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return way_changer().change(
        Operation.from_state(event["operation"]),
        ClusterOutputs(event["cluster"]),
        request=event["request"],
        memory=event["memory"],
    )
