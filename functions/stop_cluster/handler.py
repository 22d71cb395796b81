"""Set all counts to zero and report whether everything has stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.teardown import cluster_stopper

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return cluster_stopper().stop(
        Operation.from_state(event["operation"]),
        stack=event["request"]["stack"],
        waited=event["waited"],
        polls=event["polls"],
    )
