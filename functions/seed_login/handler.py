"""Write the secrets of a user pool's clients to where tasks and functions read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import login_seeder

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation = Operation.from_state(event["operation"])
    return login_seeder().seed(operation, ClusterOutputs(event["cluster"]))
