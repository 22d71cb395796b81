"""What a scaling leaves for whoever looks at the cluster: which tasks stop by its doing.

A broker that leaves exits by itself once its node id is taken, which ECS reports as a failure of
its task, and so does what ECS starts in its place until the count is lowered. An operation that was
stopped leaves a count that nobody changed by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# How long after its last look the tasks of a scaling may still end.
AFTER: Final = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class ScalingNote:
    """The last scaling of a cluster: towards ``requested`` brokers, from ``since`` to ``until``.

    ``stays`` are ids of the tasks whose brokers stay, as far as they were known at its last look.
    """

    operation_id: str
    requested: int
    since: datetime
    until: datetime
    stays: frozenset[str]

    def stopped(self, task_id: str, at: datetime) -> bool:
        """Whether a task that stopped then is one that the scaling took away."""
        return self.since <= at <= self.until and task_id not in self.stays
