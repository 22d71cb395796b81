"""Ask brokers and load balancers from inside the VPC. Questions: brokers, overview, paths."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring import prober


@entry_point
def handler(event: Event, _context: Any) -> Event:
    asked = prober()
    questions = {
        "brokers": asked.brokers,
        "overview": asked.overview,
        "paths": asked.through_load_balancers,
    }
    return questions[event["question"]](event["cluster"])
