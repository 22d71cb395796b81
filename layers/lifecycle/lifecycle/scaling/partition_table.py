"""The table of scaling partitions: what was observed x what is requested -> what is done next.

Printed in docs/scaling.md from here. Partitions are only added, never removed, see
https://docs.camunda.io/docs/self-managed/components/orchestration-cluster/zeebe/operations/cluster-scaling/
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lifecycle.camunda.topology import ReplicaState
from lifecycle.services.brokers import (
    active_partitions,
    held_partitions,
    incomplete_change,
    leads_to,
    partitions_after,
    span,
)

if TYPE_CHECKING:
    from lifecycle.camunda.topology import ClusterConfiguration


class Change(StrEnum):
    """The cluster change that Camunda has under way."""

    NONE = "none"
    THERE = "leads to the requested partitions"
    ELSEWHERE = "leads elsewhere"


class Partitions(StrEnum):
    """The partitions of Camunda's configuration, against the requested ones."""

    REQUESTED = "as requested"
    UNFINISHED = "as requested, but incomplete"
    FEWER = "fewer"
    MORE = "more"


class Count(StrEnum):
    """The desired count of the ECS service, against the brokers."""

    EQUAL = "equals the brokers"
    BELOW = "below them"
    ABOVE = "above them"


class Step(StrEnum):
    """What is done next."""

    REFUSE = "refuse"
    RAISE = "raise the count to the brokers"
    CHANGE = "send the change"
    FOLLOW = "follow the change"
    SETTLE = "verify, back up, end"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: in these cases, this is done, for this reason."""

    change: Change
    partitions: frozenset[Partitions]
    counts: frozenset[Count]
    step: Step
    why: str


_ANY_PARTITIONS: Final = frozenset(Partitions)
_ANY_COUNT: Final = frozenset(Count)
_NOT_MORE: Final = _ANY_PARTITIONS - {Partitions.MORE}

TABLE: Final[tuple[Row, ...]] = (
    Row(
        Change.ELSEWHERE,
        _ANY_PARTITIONS,
        _ANY_COUNT,
        Step.REFUSE,
        "Camunda runs one change at a time, and the pending one has a different target",
    ),
    Row(
        Change.NONE,
        frozenset({Partitions.MORE}),
        _ANY_COUNT,
        Step.REFUSE,
        "Camunda never removes a partition",
    ),
    Row(
        Change.THERE,
        _NOT_MORE,
        frozenset({Count.EQUAL, Count.ABOVE}),
        Step.FOLLOW,
        "every broker that the change needs has a task",
    ),
    Row(
        Change.THERE,
        _NOT_MORE,
        frozenset({Count.BELOW}),
        Step.RAISE,
        "brokers that the change needs have lost their tasks",
    ),
    Row(
        Change.NONE,
        _NOT_MORE,
        frozenset({Count.BELOW}),
        Step.RAISE,
        "the count was lowered below the running brokers: they are restored",
    ),
    Row(
        Change.NONE,
        _NOT_MORE,
        frozenset({Count.ABOVE}),
        Step.REFUSE,
        "more tasks than brokers: request the current number of brokers first, which aligns both",
    ),
    Row(
        Change.NONE,
        frozenset({Partitions.FEWER}),
        frozenset({Count.EQUAL}),
        Step.CHANGE,
        "Camunda adds them to the existing brokers",
    ),
    Row(
        Change.NONE,
        frozenset({Partitions.UNFINISHED}),
        frozenset({Count.EQUAL}),
        Step.CHANGE,
        "a cancelled change left partitions incomplete: it can only be completed",
    ),
    Row(
        Change.NONE,
        frozenset({Partitions.REQUESTED}),
        frozenset({Count.EQUAL}),
        Step.SETTLE,
        "nothing to add",
    ),
)


def possible(change: Change, partitions: Partitions, count: Count) -> bool:
    """Return whether such a case can be: a change that leads there never begins with more."""
    del count
    return not (change is Change.THERE and partitions is Partitions.MORE)


def row_for(change: Change, partitions: Partitions, count: Count) -> Row:
    """Find the one line of the table for a case."""
    for row in TABLE:
        if row.change is change and partitions in row.partitions and count in row.counts:
            return row
    raise AssertionError(f"the table has no line for {change}, {partitions}, {count}")


@dataclass(frozen=True, slots=True)
class Case:
    """A case of the table with its figures; ``active`` partitions take requests."""

    change: Change
    partitions: Partitions
    count: Count
    active: int
    held: int
    requested: int
    brokers: int
    desired: int

    def __str__(self) -> str:
        return (
            f"{self.held} partitions, {self.active} of them take requests, {self.requested} "
            f"requested; {self.brokers} brokers, desired count {self.desired}"
        )


def read_case(
    configuration: ClusterConfiguration, desired: int, requested: int, copies: int
) -> Case:
    """Put what was observed into the words of the table. ``copies``: the replication factor."""
    brokers, held = span(configuration), held_partitions(configuration)
    active = active_partitions(configuration)
    change = Change.NONE
    if configuration.pending_change is not None:
        same = leads_to(configuration) == frozenset(configuration.broker_ids)
        there = same and partitions_after(configuration) == requested
        change = Change.THERE if there else Change.ELSEWHERE
    if held != requested:
        partitions = Partitions.FEWER if held < requested else Partitions.MORE
    else:
        left = unfinished(configuration, copies)
        partitions = Partitions.UNFINISHED if left else Partitions.REQUESTED
    count = Count.EQUAL
    if desired != brokers:
        count = Count.BELOW if desired < brokers else Count.ABOVE
    return Case(change, partitions, count, active, held, requested, brokers, desired)


def unfinished(configuration: ClusterConfiguration, copies: int) -> tuple[str, ...]:
    """List incomplete partitions: no requests yet, copies missing, joining or leaving."""
    if configuration.pending_change is not None:
        return ()
    left = list(incomplete_change(configuration, copies))
    held, active = held_partitions(configuration), active_partitions(configuration)
    routing = configuration.routing
    if active < held or (routing is not None and not routing.settled):
        left.append(f"{active} of {held} partitions take requests")
    there = Counter(
        one.partition
        for member in configuration.members
        for one in member.partitions
        if one.state is ReplicaState.ACTIVE
    )
    left += [
        f"partition {partition} has {there[partition]} of {copies} copies"
        for partition in range(1, held + 1)
        if there[partition] < copies
    ]
    return tuple(left)
