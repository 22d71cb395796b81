"""Query brokers and load balancers inside the VPC."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring.api import instance_prober, prober
from lifecycle.wiring.plans import partition_counter
from lifecycle.wiring.scaling import scaling_prober


@entry_point
def handler(event: Event, _context: Any) -> Event:
    asked = prober()
    questions = {
        "backup": asked.backup,
        "brokers": asked.brokers,
        "instances": instance_prober().ask,
        "overview": asked.overview,
        "partitions": partition_counter(),
        "rolling": asked.rolling,
        "paths": asked.through_load_balancers,
        "scaling": scaling_prober().ask,
    }
    return questions[event["question"]](event["cluster"])
