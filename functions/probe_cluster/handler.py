"""Ask brokers and load balancers from inside the VPC: brokers, overview, paths, scaling."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring import prober, scaling_prober


@entry_point
def handler(event: Event, _context: Any) -> Event:
    asked = prober()
    questions = {
        "brokers": asked.brokers,
        "overview": asked.overview,
        "paths": asked.through_load_balancers,
        "scaling": scaling_prober().ask,
    }
    return questions[event["question"]](event["cluster"])
