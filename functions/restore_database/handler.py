"""Take the next step of restoring the database, or of setting passwords that fit it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.restore import database_restorer, user_copier

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation = Operation.from_state(event["operation"])
    if event["question"] == "password":
        cluster = ClusterOutputs(event["cluster"])
        return database_restorer().set_password(operation, cluster, event["memory"])
    if event["question"] == "users":
        return user_copier().copy(
            operation,
            ClusterOutputs(event["cluster"]),
            source=event["request"]["from"],
            at=event["request"]["target"]["at"],
        )
    return database_restorer().restore(operation, event["request"]["target"], event["memory"])
