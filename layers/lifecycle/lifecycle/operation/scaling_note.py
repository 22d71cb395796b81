"""What a scaling leaves for those who look at the cluster: which tasks stop by its doing.

A broker that leaves exits once its node id is taken, which ECS reports as a failure of its task;
the same holds for its replacement until the count is lowered. An operation that was stopped leaves
a count that was not changed manually.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

# How long after its last look the tasks of a scaling may still end.
AFTER: Final = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class ScalingNote:
    """The last scaling of a cluster: towards ``requested`` brokers, from ``since`` to ``until``.

    ``takes_away`` once a broker was seen that is to leave; ``stays`` are ids of all tasks that were
    seen, at any of its looks, to run a broker that stays.
    """

    operation_id: str
    requested: int
    since: datetime
    until: datetime
    stays: frozenset[str]
    takes_away: bool = True

    def after(self, before: ScalingNote | None) -> ScalingNote:
        """Add what earlier looks of the same operation have seen."""
        if before is None or before.operation_id != self.operation_id:
            return self
        return replace(
            self,
            stays=self.stays | before.stays,
            takes_away=self.takes_away or before.takes_away,
        )

    def stopped(self, task_id: str, at: datetime) -> bool:
        """Whether a task that stopped then is one that the scaling took away."""
        within = self.since <= at <= self.until
        return self.takes_away and within and task_id not in self.stays
