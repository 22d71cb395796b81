"""List all clusters of the control plane, each as the input of its check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.health import cluster_locator

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(_event: Event, _context: LambdaContext) -> Event:
    return {"clusters": [{"clusterName": name} for name in cluster_locator().all()]}
