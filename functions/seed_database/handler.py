"""Create the brokers' IAM user in Aurora, or check whether their schema exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import database_seeder

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation = Operation.from_state(event["operation"])
    if event.get("question") == "schema":
        return database_seeder().check_schema(operation, ClusterOutputs(event["cluster"]))
    return database_seeder().seed(operation, ClusterOutputs(event["cluster"]))
