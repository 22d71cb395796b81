"""Fargate has no capacity for a while: no task starts, and only a service event reports it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from local.aws.strict import Rule

NAME: Final = "capacity-missing"
MISSING_SECONDS: Final = 2.0
"""How long each deployment, and each change of its count, waits: minutes to hours on AWS."""
AGAIN_SECONDS: Final = 0.6
"""Until ECS retries automatically."""
EVENT: Final = (
    "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again"
    " later or in a different availability zone. For more information, see the Troubleshooting"
    " section of the Amazon ECS Developer Guide."
)


@dataclass
class Shortages:
    """When capacity was first missing for what."""

    began: dict[tuple[str, int], float] = field(default_factory=dict)

    def missing(self, deployment: str, desired: int, now: float) -> bool:
        """Whether tasks of a deployment cannot be placed now; a successor later can."""
        return now < self.began.setdefault((deployment, desired), now) + MISSING_SECONDS


RULE: Final = Rule(
    name=NAME,
    does="While Fargate has no capacity, ECS starts no task and publishes a service event, `was"
    " unable to place a task. Reason: Capacity is unavailable at this time.`; it retries"
    " automatically.",
    source="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html",
    caught="scaling out failed with `TasksNotPlaced` after two such events, within seconds,"
    " although it may wait ten minutes and ECS keeps retrying.",
)
