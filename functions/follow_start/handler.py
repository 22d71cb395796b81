"""Report progress of the start of brokers and connectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import start_follower

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return start_follower().follow(
        Operation.from_state(event["operation"]),
        ClusterOutputs(event["cluster"]),
        since=event["since"],
        polls=event["polls"],
        waited=event["waited"],
        schema=event["schema"],
    )
