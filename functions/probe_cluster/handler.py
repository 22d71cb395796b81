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
    asked = prober()
    questions = {
        "backup": asked.backup,
        "brokers": asked.brokers,
        "instances": instance_prober().query,
        "overview": asked.overview,
        "partitions": partition_counter(),
        "rolling": asked.rolling,
        "paths": asked.through_load_balancers,
        "scaling": scaling_prober().query,
    }
    return questions[event["question"]](ClusterOutputs(event["cluster"]), **event["arguments"])
