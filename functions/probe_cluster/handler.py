"""Ask brokers and load balancers from inside the VPC. Questions: ``brokers``, ``paths``."""

from __future__ import annotations

from typing import Any

from lifecycle.observability import Event, entry_point
from lifecycle.wiring import prober


@entry_point
def handler(event: Event, _context: Any) -> Event:
    questions = {"brokers": prober().brokers, "paths": prober().through_load_balancers}
    return questions[event["question"]](event["cluster"])
