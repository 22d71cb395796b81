"""Which checkpoints are without a gap, and which of them a restore goes to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from local.broker.ranges import Checkpoint, NothingFits, Range, ranges, solve

pytestmark = pytest.mark.unit

START = datetime(2026, 11, 28, 7, tzinfo=UTC)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def checkpoint(
    number: int,
    *,
    backup: bool = False,
    previous: int | None = None,
    after: int | None = None,
    position: int | None = None,
) -> Checkpoint:
    """Checkpoint n is of minute n, at position 10 n, and its log begins after 10 (n - 1)."""
    return Checkpoint(
        id=number,
        kind="SCHEDULED_BACKUP" if backup else "MARKER",
        at=at(number),
        position=10 * number if position is None else position,
        after=10 * (number - 1) if after is None else after,
        previous=number - 1 if previous is None else previous,
    )


# Backups 1, 4 and 7, markers between and after them.
CHAIN = [checkpoint(number, backup=number % 3 == 1) for number in range(1, 9)]


def shown(found: list[Range]) -> list[tuple[int, int, int, int]]:
    """First backup and position, last backup, number of checkpoints."""
    return [
        (one.start.id, one.first_log_position, one.end.id, len(one.checkpoints)) for one in found
    ]


def without(*numbers: int) -> list[Checkpoint]:
    return [one for one in CHAIN if one.id not in numbers]


def test_a_marker_counts_once_a_later_backup_has_its_log() -> None:
    assert shown(ranges(CHAIN)) == [(1, 1, 7, 7)]
    assert ranges(CHAIN[1:3]) == [], "markers alone restore nothing"


def test_the_order_in_which_they_are_found_does_not_matter() -> None:
    assert ranges(reversed(CHAIN)) == ranges(CHAIN)


def test_a_deleted_backup_breaks_a_range_in_two() -> None:
    assert shown(ranges(without(4))) == [(1, 1, 1, 1), (7, 40, 7, 3)]


def test_a_lost_log_segment_is_a_gap() -> None:
    assert shown(ranges(without(3))) == [(1, 1, 1, 1), (4, 30, 7, 4)]


def test_a_log_that_was_not_kept_is_a_gap() -> None:
    late = [checkpoint(1, backup=True), checkpoint(2, backup=True, after=12)]
    assert shown(ranges(late)) == [(1, 1, 1, 1), (2, 12, 2, 1)]


def test_retention_moves_the_start() -> None:
    assert shown(ranges(without(1))) == [(4, 10, 7, 6)]
    assert shown(ranges(without(1, 2, 3))) == [(4, 30, 7, 4)]


def test_what_a_restore_left_behind_is_in_no_range() -> None:
    """It went to checkpoint 3; from there the cluster wrote 9 and 10."""
    later = [
        checkpoint(9, previous=3, after=30, position=35),
        checkpoint(10, previous=9, after=35, position=50, backup=True),
    ]
    assert [[one.id for one in each.checkpoints] for each in ranges([*CHAIN, *later])] == [
        [1, 2, 3, 9, 10]
    ]


def test_nor_is_it_where_a_backup_of_it_was_deleted() -> None:
    """It went to checkpoint 1, before a gap; from there the cluster wrote 9."""
    later = checkpoint(9, previous=1, after=10, position=35, backup=True)
    assert [[one.id for one in each.checkpoints] for each in ranges([*without(4), later])] == [
        [1, 9]
    ]
    # It went to checkpoint 7, after the gap: what is before the gap stays.
    later = checkpoint(9, previous=7, after=70, position=75, backup=True)
    assert shown(ranges([*without(4), later])) == [(1, 1, 1, 1), (7, 40, 9, 4)]


BOTH = {1: ranges(CHAIN), 2: ranges(CHAIN)}


@pytest.mark.parametrize(
    ("to", "chosen"),
    [
        (None, 7),
        (at(60), 7),
        (at(5), 5),
        (at(5.4), 5),
        # The closest one, which may be later: `--to` is no bound.
        (at(5.6), 6),
        (at(0), 2),
    ],
)
def test_the_closest_checkpoint_that_is_not_before_the_secondary_storage(
    to: datetime | None, chosen: int
) -> None:
    assert solve(BOTH, {1: 15, 2: 12}, to=to) == chosen


def test_a_checkpoint_that_one_partition_lacks_is_not_taken() -> None:
    assert solve({1: ranges(CHAIN), 2: ranges(without(7, 8))}, {1: 15, 2: 12}) == 4


@pytest.mark.parametrize(
    ("exported", "why"),
    [
        ({1: 71, 2: 70}, "ahead of the newest backup"),
        ({1: 70, 2: 71}, "partition 2 .* ahead of the newest backup"),
    ],
)
def test_a_secondary_storage_that_is_ahead_is_refused(exported: dict[int, int], why: str) -> None:
    with pytest.raises(NothingFits, match=why):
        solve(BOTH, exported)


def test_one_that_is_behind_the_oldest_log_is_refused() -> None:
    late = ranges(without(1, 2, 3))
    assert solve({1: late}, {1: 30}) == 7
    with pytest.raises(NothingFits, match="behind the oldest log"):
        solve({1: late}, {1: 29})
    with pytest.raises(NothingFits, match="behind the oldest log"):
        solve({1: late}, {1: 0})


def test_a_partition_of_which_nothing_was_exported_begins_with_its_first_record() -> None:
    assert solve({1: ranges(CHAIN)}, {1: 0}) == 7


def test_one_in_a_gap_is_refused_and_one_before_it_stays_before_it() -> None:
    broken = {1: ranges(without(4))}
    with pytest.raises(NothingFits, match="in a gap"):
        solve(broken, {1: 25})
    assert solve(broken, {1: 5}) == 1, "nothing after the gap is applied"
    assert solve(broken, {1: 45}) == 7


def test_a_range_has_to_begin_before_since() -> None:
    assert solve(BOTH, {1: 15, 2: 15}, since=at(1)) == 7
    with pytest.raises(NothingFits, match="the range begins later"):
        solve(BOTH, {1: 15, 2: 15}, since=at(0.5))


def test_without_a_backup_nothing_is_restored() -> None:
    with pytest.raises(NothingFits, match=r"there is no backup.*none"):
        solve({1: []}, {1: 0})


def test_partitions_whose_checkpoints_are_not_common_are_refused() -> None:
    one = [checkpoint(1, backup=True)]
    other = [checkpoint(2, backup=True, previous=0, after=0)]
    with pytest.raises(NothingFits, match="common checkpoint across partitions"):
        solve({1: ranges(one), 2: ranges(other)}, {1: 1, 2: 1})
