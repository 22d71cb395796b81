"""Observe a cluster from inside the VPC: brokers, database, leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.wiring.health import health_prober

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    return health_prober().observe(ClusterOutputs(event["cluster"]))
