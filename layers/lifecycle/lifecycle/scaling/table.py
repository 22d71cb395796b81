"""The table of scaling: what was observed x what is requested -> what is done next.

Printed in docs/scaling.md from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lifecycle.services.brokers import has_gap, incomplete_change, leads_to, span

if TYPE_CHECKING:
    from lifecycle.camunda.topology import ClusterConfiguration


class Change(StrEnum):
    """The cluster change that Camunda has under way."""

    NONE = "none"
    THERE = "leads to the requested brokers"
    ELSEWHERE = "leads elsewhere"


class Members(StrEnum):
    """The brokers of Camunda's configuration, against the requested ones."""

    REQUESTED = "as requested"
    UNFINISHED = "as requested, but incomplete"
    FEWER = "fewer"
    MORE = "more"
    GAP = "ids with a gap"


class Count(StrEnum):
    """The desired count of the ECS service, against brokers and request."""

    BOTH = "equals brokers and request"
    MEMBERS = "equals the brokers"
    REQUESTED = "equals the request"
    BETWEEN = "between them"
    BELOW = "below both"
    ABOVE = "above both"


class Step(StrEnum):
    """What is done next."""

    REFUSE = "refuse"
    RAISE = "raise the count to the higher of both"
    CHANGE = "send the change, once its tasks run"
    FOLLOW = "follow the change"
    LOWER = "protect the remaining tasks, lower the count"
    SETTLE = "verify, end"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: in these cases, this is done, for this reason."""

    change: Change
    members: frozenset[Members]
    counts: frozenset[Count]
    step: Step
    why: str


_ANY_MEMBERS: Final = frozenset(Members)
_ANY_COUNT: Final = frozenset(Count)


def _row(
    change: Change,
    members: Members | frozenset[Members],
    counts: Count | tuple[Count, ...] | frozenset[Count],
    step: Step,
    why: str,
) -> Row:
    return Row(
        change,
        members if isinstance(members, frozenset) else frozenset({members}),
        frozenset({counts}) if isinstance(counts, Count) else frozenset(counts),
        step,
        why,
    )


TABLE: Final[tuple[Row, ...]] = (
    _row(
        Change.ELSEWHERE,
        _ANY_MEMBERS,
        _ANY_COUNT,
        Step.REFUSE,
        "Camunda runs one change at a time, and the pending one has a different target",
    ),
    _row(
        Change.NONE,
        Members.GAP,
        _ANY_COUNT,
        Step.REFUSE,
        "a count means the ids 0, 1, 2 …: it would do more than add or remove the highest ids",
    ),
    _row(
        Change.THERE,
        frozenset({Members.REQUESTED, Members.FEWER, Members.MORE}),
        (Count.BOTH, Count.ABOVE),
        Step.FOLLOW,
        "every broker that the change needs has a task",
    ),
    _row(
        Change.THERE,
        Members.FEWER,
        Count.REQUESTED,
        Step.FOLLOW,
        "scaling out: the count was raised before",
    ),
    _row(
        Change.THERE,
        Members.MORE,
        Count.MEMBERS,
        Step.FOLLOW,
        "scaling in: the count is lowered afterwards",
    ),
    _row(
        Change.THERE,
        Members.FEWER,
        (Count.MEMBERS, Count.BETWEEN, Count.BELOW),
        Step.RAISE,
        "the change waits for brokers that have no task",
    ),
    _row(
        Change.THERE,
        Members.MORE,
        (Count.REQUESTED, Count.BETWEEN, Count.BELOW),
        Step.RAISE,
        "brokers that still hold partitions have lost their tasks",
    ),
    _row(Change.THERE, Members.REQUESTED, Count.BELOW, Step.RAISE, "brokers have lost their tasks"),
    _row(Change.NONE, Members.REQUESTED, Count.BOTH, Step.SETTLE, "nothing to do"),
    _row(
        Change.NONE,
        Members.REQUESTED,
        Count.BELOW,
        Step.RAISE,
        "the count was lowered below the running brokers: they are restored",
    ),
    _row(
        Change.NONE,
        Members.REQUESTED,
        Count.ABOVE,
        Step.LOWER,
        "the tasks beyond the brokers hold no partitions",
    ),
    _row(
        Change.NONE,
        Members.UNFINISHED,
        (Count.BOTH, Count.ABOVE),
        Step.CHANGE,
        "a cancelled change left replicas incomplete: it can only be completed",
    ),
    _row(Change.NONE, Members.UNFINISHED, Count.BELOW, Step.RAISE, "brokers have lost their tasks"),
    _row(
        Change.NONE, Members.FEWER, Count.MEMBERS, Step.RAISE, ("scaling out starts with the tasks")
    ),
    _row(
        Change.NONE,
        Members.FEWER,
        Count.REQUESTED,
        Step.CHANGE,
        "scaling out: the tasks were requested before",
    ),
    _row(
        Change.NONE,
        Members.MORE,
        Count.MEMBERS,
        Step.CHANGE,
        "scaling in starts with the partitions",
    ),
    _row(
        Change.NONE,
        Members.MORE,
        Count.REQUESTED,
        Step.RAISE,
        "the count was lowered before the partitions had moved: their brokers are restored first",
    ),
    _row(
        Change.NONE,
        frozenset({Members.FEWER, Members.MORE}),
        (Count.BETWEEN, Count.BELOW, Count.ABOVE),
        Step.REFUSE,
        "the count is neither the old nor the requested one: request the current number of "
        "brokers first, which aligns both",
    ),
)


def possible(change: Change, members: Members, count: Count) -> bool:
    """Return whether such a case can be: some exclude each other by what the words mean.

    While a change runs, replicas come and go as they should, and ids may have a gap for a moment;
    brokers are counted by the highest id then.
    """
    if members is Members.UNFINISHED and change is not Change.NONE:
        return False
    if members is Members.GAP and change is Change.THERE:
        return False
    equal = members in (Members.REQUESTED, Members.UNFINISHED)
    if equal:
        return count in (Count.BOTH, Count.BELOW, Count.ABOVE)
    return count is not Count.BOTH or members is Members.GAP


def row_for(change: Change, members: Members, count: Count) -> Row:
    """Find the one line of the table for a case."""
    for row in TABLE:
        if row.change is change and members in row.members and count in row.counts:
            return row
    raise AssertionError(f"the table has no line for {change}, {members}, {count}")


@dataclass(frozen=True, slots=True)
class Case:
    """A case of the table with its figures. ``higher`` is the larger of brokers and request."""

    change: Change
    members: Members
    count: Count
    brokers: int
    desired: int
    requested: int

    @property
    def higher(self) -> int:
        """Tasks that are needed while one becomes the other."""
        return max(self.brokers, self.requested)

    def __str__(self) -> str:
        return (
            f"{self.brokers} brokers in Camunda's configuration, desired count {self.desired}, "
            f"{self.requested} requested"
        )


def read_case(
    configuration: ClusterConfiguration, desired: int, requested: int, copies: int
) -> Case:
    """Put what was observed into the words of the table. ``copies``: the replication factor."""
    brokers = span(configuration)
    change = Change.NONE
    if configuration.pending_change is not None:
        there = leads_to(configuration) == frozenset(range(requested))
        change = Change.THERE if there else Change.ELSEWHERE
    if change is not Change.THERE and has_gap(configuration, requested):
        members = Members.GAP
    elif brokers == requested:
        members = (
            Members.UNFINISHED if incomplete_change(configuration, copies) else Members.REQUESTED
        )
    else:
        members = Members.FEWER if brokers < requested else Members.MORE
    low, high = min(brokers, requested), max(brokers, requested)
    if desired < low or desired > high:
        count = Count.BELOW if desired < low else Count.ABOVE
    elif low == high:
        count = Count.BOTH
    elif desired == brokers:
        count = Count.MEMBERS
    else:
        count = Count.REQUESTED if desired == requested else Count.BETWEEN
    return Case(change, members, count, brokers, desired, requested)
