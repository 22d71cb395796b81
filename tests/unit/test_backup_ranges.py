"""Ranges of backups: read as Camunda reports them, their gaps, and what all partitions have."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from lifecycle.camunda.backup_ranges import (
    Gap,
    Span,
    covered,
    gaps,
    thinned,
    unknown_partitions,
)
from lifecycle.camunda.backups import BackupRange, BackupsSeen, backups_payload, read_ranges
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.errors import InvalidResponse, ProbeFailed
from lifecycle.restore.ranges import ProbedRanges

from tests.fakes.probe import FakeProbe


def at(hour: int) -> datetime:
    return datetime(2026, 1, 1, hour, tzinfo=UTC)


def made(partition: int, start: int, end: int) -> BackupRange:
    return BackupRange(partition, at(start), at(end))


def end_of_range(hour: int) -> dict[str, Any]:
    """An end of a range, in the shape of the API's ``PartitionBackupState``."""
    return {
        "checkpointId": 1767225600000 + hour,
        "checkpointType": "SCHEDULED_BACKUP",
        "partitionId": None,
        "checkpointPosition": 1500,
        "firstLogPosition": 5,
        "checkpointTimestamp": f"2026-01-01T{hour:02}:00:00Z",
    }


def test_ranges_are_read_and_one_without_a_backup_is_none() -> None:
    answer = {
        "checkpointStates": [],
        "backupStates": [],
        "ranges": [
            {"partitionId": 1, "start": end_of_range(1), "end": end_of_range(3)},
            {"partitionId": 1, "start": end_of_range(5), "end": end_of_range(6)},
            {"partitionId": 2, "start": end_of_range(1), "end": None},
        ],
    }
    assert read_ranges(answer) == (made(1, 1, 3), made(1, 5, 6))
    assert read_ranges({"ranges": []}) == read_ranges({}) == ()


@pytest.mark.parametrize(
    "ranges",
    [
        {"a": 1},
        ["x"],
        [{"partitionId": "x", "start": end_of_range(1), "end": end_of_range(2)}],
        [{"partitionId": 1, "start": 7, "end": None}],
        [{"partitionId": 1, "start": {"checkpointTimestamp": "noon"}, "end": None}],
    ],
)
def test_what_is_no_range_is_invalid(ranges: object) -> None:
    with pytest.raises(InvalidResponse):
        read_ranges({"ranges": ranges})


def test_a_gap_lies_between_two_ranges_of_one_partition_in_whatever_order() -> None:
    ranges = (made(2, 8, 9), made(1, 1, 9), made(2, 1, 3), made(2, 5, 6))
    assert gaps(ranges) == [Gap(2, at(3), at(5)), Gap(2, at(6), at(8))]
    assert gaps((made(1, 1, 2), made(2, 4, 5))) == []


def test_of_many_ranges_the_oldest_and_the_newest_are_kept() -> None:
    every = (made(1, 1, 2), made(1, 3, 4), made(1, 5, 6), made(1, 7, 8), made(2, 1, 8))
    assert thinned(reversed(every), 5) == every
    assert thinned(every, 3) == (every[0], every[2], every[3], every[4])
    assert thinned(every, 2) == (every[0], every[3], every[4])
    # The same can be restored; what is left out lies within a gap.
    assert covered(thinned(every, 2), [1, 2]) == covered(every, [1, 2])
    assert gaps(thinned(every, 2)) == [Gap(1, at(2), at(7))]


def test_all_partitions_have_what_the_youngest_and_the_one_most_behind_have() -> None:
    ranges = (made(1, 1, 9), made(2, 3, 8), made(2, 2, 2), made(3, 1, 7))
    assert covered(ranges, [1, 2]) == Span(at(2), at(8))
    assert covered(ranges, [1, 2, 3]) == Span(at(2), at(7))


@pytest.mark.parametrize("ranges", [(), (made(1, 1, 9),), (made(1, 1, 9), made(3, 1, 9))])
def test_what_one_partition_has_is_not_known(ranges: tuple[BackupRange, ...]) -> None:
    assert covered(ranges, [1, 2]) is None
    assert covered(ranges, []) is None
    assert unknown_partitions(ranges, [1, 2])[-1] == 2


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Span(at(1), at(5)), Span(at(3), at(9)), Span(at(3), at(5))),
        (Span(at(3), at(9)), Span(at(1), at(5)), Span(at(3), at(5))),
        (Span(at(1), at(9)), Span(at(3), at(3)), Span(at(3), at(3))),
    ],
)
def test_both_have_what_overlaps(one: Span, other: Span, both: Span) -> None:
    assert one.within(other) == both
    assert not both.empty


def test_what_does_not_overlap_is_empty() -> None:
    assert Span(at(1), at(2)).within(Span(at(3), at(4))).empty


class TestOfARestore:
    """What the function inside the VPC returns of ranges and partitions, for a restore."""

    RANGES = (made(1, 1, 2), made(2, 1, 2))

    def seen(self, **given: Any) -> Any:
        backups = BackupsSeen(enabled=True, ranges=self.RANGES, partitions=2)
        answer = {"seen": backups_payload(replace(backups, **given)), "problem": ""}
        probe = FakeProbe(answers={"backups": answer})
        return ProbedRanges(lambda: probe).of(ClusterOutputs())

    def test_ranges_of_all_partitions(self) -> None:
        found = self.seen()
        assert [one.partition for one in found.ranges] == [1, 2]
        assert (found.unread, found.partitions) == ("", 2)

    def test_partitions_that_were_just_added_are_known_without_a_range(self) -> None:
        found = self.seen(partitions=4)
        assert (list(found.ranges), found.partitions) == ([], 4)
        assert found.unread == "the brokers return no range of partition 3, 4"

    def test_partitions_that_are_being_added_are_not_known(self) -> None:
        assert self.seen(partitions=4, adding=True).partitions == 0

    def test_brokers_that_do_not_answer(self) -> None:
        def fails(*_: object, **__: object) -> Any:
            raise ProbeFailed("no connection")

        for answer, why in (
            ({"seen": None, "problem": "no broker answers"}, "no broker answers"),
            (fails, "no connection"),
        ):
            probe = FakeProbe(answers={"backups": answer})
            found = ProbedRanges(lambda probe=probe: probe).of(ClusterOutputs())  # type: ignore[misc]
            assert (found.ranges, found.unread, found.partitions) == ((), why, 0)
