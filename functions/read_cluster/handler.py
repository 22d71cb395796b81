"""Read the outputs of the cluster's stack: its contract with the state machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.operation.model import Operation
from lifecycle.wiring.provisioning import stack_changer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    operation = Operation.from_state(event["operation"])
    return stack_changer().outputs(operation, event["request"]["stack"])
