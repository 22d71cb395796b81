"""Ranges of backups: unbroken sequences of the brokers' backups, by partition.

A restore needs the whole log between two backups. Where a backup fails and the next one no longer
covers what is missing, a range ends and another begins: no moment between the two can be restored.
https://docs.camunda.io/docs/self-managed/operational-guides/backup-restore/rdbms/rdbms-backup/
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from lifecycle.camunda.backups import BackupRange


@dataclass(frozen=True, slots=True)
class Gap:
    """Moments between two ranges of one partition, none of which can be restored."""

    partition: int
    after: datetime
    before: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """From the oldest to the newest moment; ``empty`` where the first is after the last."""

    start: datetime
    end: datetime

    @property
    def empty(self) -> bool:
        """Return whether no moment lies within it."""
        return self.start > self.end

    def within(self, other: Span) -> Span:
        """Return the moments that both have."""
        return Span(max(self.start, other.start), min(self.end, other.end))


def unknown_partitions(ranges: Iterable[BackupRange], partitions: Iterable[int]) -> list[int]:
    """Return those of some partitions that have no range.

    The actuator leaves a section empty that it could not retrieve from a partition, so a partition
    with a backup and without a range is one of which nothing is known.
    https://docs.camunda.io/docs/next/apis-tools/orchestration-cluster-api-rest/specifications/get-runtime-backup-state/
    """
    known = {one.partition for one in ranges}
    return [one for one in partitions if one not in known]


def thinned(ranges: Iterable[BackupRange], most: int) -> tuple[BackupRange, ...]:
    """Return at most so many ranges (two or more) of each partition: its oldest and newest ones.

    What is left out makes the gap after the oldest one look longer, never shorter.
    """
    own: dict[int, list[BackupRange]] = {}
    for one in sorted(ranges, key=lambda one: (one.partition, one.start)):
        own.setdefault(one.partition, []).append(one)
    return tuple(
        one
        for each in own.values()
        for one in (each if len(each) <= most else [each[0], *each[1 - most :]])
    )


def gaps(ranges: Iterable[BackupRange]) -> list[Gap]:
    """Return the gaps between the ranges of each partition, by partition, the oldest first."""
    spans: dict[int, list[tuple[datetime, datetime]]] = {}
    for one in ranges:
        spans.setdefault(one.partition, []).append((one.start, one.end))
    return [
        Gap(partition, before[1], after[0])
        for partition in sorted(spans)
        for before, after in pairwise(sorted(spans[partition]))
    ]


def covered(ranges: Sequence[BackupRange], partitions: Sequence[int]) -> Span | None:
    """Return the time from the oldest to the newest backup that all of some partitions have.

    Gaps lie within it. None where that of one partition is not known, or there is no partition.
    """
    if not partitions or unknown_partitions(ranges, partitions):
        return None
    own = {one: [each for each in ranges if each.partition == one] for one in partitions}
    return Span(
        max(min(one.start for one in each) for each in own.values()),
        min(max(one.end for one in each) for each in own.values()),
    )
