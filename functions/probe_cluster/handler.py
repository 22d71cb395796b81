"""Query brokers and load balancers inside the VPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.wiring.api import instance_prober, prober
from lifecycle.wiring.plans import partition_counter
from lifecycle.wiring.scaling import scaling_prober

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    queries = prober()
    questions = {
        "backup": queries.backup,
        "brokers": queries.brokers,
        "instances": instance_prober().query,
        "overview": queries.overview,
        "partitions": partition_counter(),
        "rolling": queries.rolling,
        "paths": queries.through_load_balancers,
        "scaling": scaling_prober().query,
    }
    return questions[event["question"]](ClusterOutputs(event["cluster"]), **event["arguments"])
