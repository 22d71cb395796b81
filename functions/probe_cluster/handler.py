"""Query brokers and load balancers inside the VPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.observability import Event, entry_point
from lifecycle.wiring.api import instance_prober, prober
from lifecycle.wiring.backup import backup_prober
from lifecycle.wiring.login import issuer_prober
from lifecycle.wiring.plans import partition_counter
from lifecycle.wiring.rehearsal import plant_markers, rehearsal_prober
from lifecycle.wiring.scaling import scaling_prober

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@entry_point
def handler(event: Event, _context: LambdaContext) -> Event:
    queries, rehearsed = prober(), rehearsal_prober()
    questions = {
        "after": rehearsed.count_after,
        "backup": queries.backup,
        "backups": backup_prober().query,
        "brokers": queries.brokers,
        "instances": instance_prober().query,
        "find markers": rehearsed.find,
        "issuer": issuer_prober().query,
        "overview": queries.overview,
        "partitions": partition_counter(),
        "plant markers": plant_markers,
        "remove markers": rehearsed.remove,
        "rolling": queries.rolling,
        "paths": queries.through_load_balancers,
        "scaling": scaling_prober().query,
        "totals": rehearsed.count,
    }
    return questions[event["question"]](ClusterOutputs(event["cluster"]), **event["arguments"])
