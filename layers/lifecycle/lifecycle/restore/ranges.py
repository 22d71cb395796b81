"""Times that the brokers can restore without a gap, queried inside the VPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.camunda.backups import read_backups
from lifecycle.errors import LifecycleError
from lifecycle.restore.facts import Range
from lifecycle.restore.ports import RangesSeen

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.camunda.backups import BackupsSeen
    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs


@dataclass(frozen=True, slots=True)
class ProbedRanges:
    """The ``BrokerRanges`` port on the function inside the VPC."""

    probe: Callable[[], Probe]

    def of(self, cluster: ClusterOutputs) -> RangesSeen:
        """Return what ``ranges_of`` does, or why the brokers return nothing."""
        try:
            answer = self.probe().query("backups", cluster)
            if answer.get("seen") is None:
                problem = str(answer.get("problem") or "the brokers do not answer")
                return RangesSeen(unread=problem)
            seen = read_backups(answer["seen"])
        except LifecycleError as error:
            return RangesSeen(unread=error.message)
        return ranges_of(seen)


def ranges_of(seen: BackupsSeen) -> RangesSeen:
    """Return the ranges of what the brokers return; a partition without one makes them unknown."""
    # Of a change that is under way, no backup has the number that it leads to.
    there = 0 if seen.adding else seen.partitions
    found = [
        Range(one.partition, one.start, one.end)
        for one in seen.ranges
        if one.start is not None and one.end is not None
    ]
    unknown = set(range(1, seen.partitions + 1)) - {one.partition for one in found}
    if unknown or not seen.partitions:
        which = ", ".join(map(str, sorted(unknown))) or "any"
        return RangesSeen((), f"the brokers return no range of partition {which}", there)
    return RangesSeen(found, "", there)
