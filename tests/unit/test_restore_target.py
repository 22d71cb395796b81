"""What a restore goes to: the backup, the database's moment, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifecycle.errors import RestoreRefused
from lifecycle.operation.record import Record
from lifecycle.operation.steps import BROKERS_RESTORED, DATABASE_RESTORED, STACK_BUILT
from lifecycle.restore.engines import refuse_other_engine
from lifecycle.restore.facts import (
    MARGIN,
    Checkpoint,
    DatabaseFound,
    LastRestore,
    Present,
    Range,
    SnapshotFound,
    Target,
    Window,
)
from lifecycle.restore.history import lifetimes
from lifecycle.restore.partitions import partitions_now
from lifecycle.restore.plan import last_restore
from lifecycle.restore.request import RestoreRequest
from lifecycle.restore.target import choose
from lifecycle.times import written

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)
DATABASE = "control-demo-databasecluster-0a1b2c"
PRESENT = Present(
    stack="control-demo",
    partitions=3,
    version=(8, 9, 22),
    generation=1,
    snapshot="",
    database=DATABASE,
)


def checkpoint(number: int, **changed: object) -> Checkpoint:
    """The backup so many quarters of an hour ago."""
    one = Checkpoint(100 - number, NOW - number * QUARTER, 3, (8, 9, 22))
    return replace(one, **changed)  # type: ignore[arg-type]


BACKUPS = [checkpoint(one) for one in range(1, 9)]
WINDOW = Window(DATABASE, NOW - timedelta(days=7), NOW - timedelta(minutes=5))
CONTINUOUS = DatabaseFound(windows=(WINDOW,))


def chosen(
    request: RestoreRequest | None = None,
    *,
    present: Present = PRESENT,
    backups: list[Checkpoint] | None = None,
    ranges: list[Range] | None = None,
    database: DatabaseFound = CONTINUOUS,
) -> Target:
    return choose(
        request or RestoreRequest("demo"),
        present,
        BACKUPS if backups is None else backups,
        ranges or [],
        database,
        now=NOW,
    )


def refusal(request: RestoreRequest | None = None, **more: object) -> str:
    with pytest.raises(RestoreRefused) as caught:
        chosen(request, **more)  # type: ignore[arg-type]
    return caught.value.message


def test_without_a_moment_the_newest_complete_backup_is_restored() -> None:
    backups = [checkpoint(1, lacks="partition 2 is in_progress"), checkpoint(2), checkpoint(3)]
    target = chosen(backups=backups)
    assert (target.backup, target.at) == (98, NOW - 2 * QUARTER)
    assert not target.changed


def test_the_database_is_of_before_the_brokers_backup() -> None:
    target = chosen()
    assert target.source == DATABASE
    assert target.database_at == target.at - MARGIN
    assert target.generation == 2


@pytest.mark.parametrize(
    ("ago", "backup"),
    [
        (timedelta(minutes=15), 99),
        (timedelta(minutes=15, seconds=1), 98),
        (timedelta(minutes=29), 98),
        (timedelta(hours=2), 92),
    ],
)
def test_nothing_after_the_moment_is_restored(ago: timedelta, backup: int) -> None:
    target = chosen(RestoreRequest("demo", to=NOW - ago))
    assert target.backup == backup
    assert target.at <= NOW - ago


def test_a_moment_before_the_first_backup_is_refused_with_the_first() -> None:
    told = refusal(RestoreRequest("demo", to=NOW - timedelta(hours=3)))
    assert "to is 2026-11-30T09:00:00.000Z" in told
    assert "the first of 2026-11-30T10:00:00.000Z" in told


def test_a_moment_that_has_not_passed_is_refused() -> None:
    told = refusal(RestoreRequest("demo", to=NOW + timedelta(seconds=1)))
    assert "it is 2026-11-30T12:00:00.000Z" in told


def test_a_backup_by_its_id() -> None:
    assert chosen(RestoreRequest("demo", backup=95)).at == NOW - 5 * QUARTER
    told = refusal(RestoreRequest("demo", backup=7))
    assert "backup is 7, which does not exist; the newest are 99 of" in told


def test_an_incomplete_backup_is_refused_by_its_id_with_the_reason() -> None:
    backups = [checkpoint(1, lacks="partition 2 is failed"), checkpoint(2)]
    told = refusal(RestoreRequest("demo", backup=99), backups=backups)
    assert told == "Backup 99 cannot be restored: partition 2 is failed."


def test_the_newest_complete_backup_shows_how_many_partitions_there_are() -> None:
    """Without brokers nothing else does: adding partitions does not change the stack."""
    part = checkpoint(1, partitions=8, lacks="partition 8 is missing")
    more = [part, checkpoint(2, partitions=6), *BACKUPS[2:]]
    assert partitions_now(PRESENT, 0, more, CONTINUOUS) == 6
    assert partitions_now(PRESENT, 0, BACKUPS, CONTINUOUS) == 3
    assert partitions_now(PRESENT, 0, [], CONTINUOUS) == 3
    assert partitions_now(PRESENT, 0, [checkpoint(1, partitions=2)], CONTINUOUS) == 3
    # Brokers know it, whatever is backed up.
    assert partitions_now(PRESENT, 6, BACKUPS, CONTINUOUS) == 6
    assert partitions_now(PRESENT, 2, BACKUPS, CONTINUOUS) == 3


def test_what_a_restore_left_behind_does_not_show_how_many_partitions_there_are() -> None:
    """A cluster that was made of a backup with fewer, in a bucket with those since."""
    present = replace(PRESENT, generation=2, snapshot="made", restored="96")
    database = DatabaseFound(windows=(replace(WINDOW, created=NOW - 20 * MINUTE),))
    there = [checkpoint(one, partitions=6) for one in (2, 3)] + [checkpoint(4)]
    assert partitions_now(present, 0, there, database) == 3
    assert partitions_now(present, 0, [checkpoint(1, partitions=6), *there], database) == 6


def test_the_brokers_are_configured_with_the_number_of_the_backup() -> None:
    present = replace(PRESENT, partitions=6)
    target = chosen(present=present, backups=[checkpoint(1, partitions=6), *BACKUPS[1:]])
    assert (target.backup, target.partitions) == (99, 6)
    # None with another number is in its place, whatever of it cannot be restored.
    late = DatabaseFound(windows=(replace(WINDOW, latest=NOW - 20 * MINUTE),))
    told = refusal(
        present=present, backups=[checkpoint(1, partitions=6), *BACKUPS[1:]], database=late
    )
    assert "Backup 99" in told


def test_another_number_of_partitions_is_refused() -> None:
    told = refusal(backups=[checkpoint(1, partitions=2)])
    assert "99: it has 2 partitions and the cluster 3" in told
    by_id = refusal(RestoreRequest("demo", backup=99), backups=[checkpoint(1, partitions=2)])
    assert "Camunda restores a backup only to its own number" in by_id


@pytest.mark.parametrize(
    ("cluster", "backup", "allowed"),
    [
        ((8, 9, 22), (8, 9, 1), True),
        ((8, 9, 1), (8, 9, 22), True),
        ((8, 10, 0), (8, 9, 22), True),
        ((8, 11, 0), (8, 9, 22), False),
        ((8, 9, 22), (8, 10, 0), False),
        ((9, 0, 0), (8, 9, 22), False),
        (None, (8, 9, 22), False),
        ((8, 9, 22), None, False),
    ],
)
def test_versions(
    cluster: tuple[int, int, int] | None, backup: tuple[int, int, int] | None, *, allowed: bool
) -> None:
    present = replace(PRESENT, version=cluster)
    backups = [checkpoint(1, version=backup)]
    if allowed:
        assert chosen(present=present, backups=backups).backup == 99
    else:
        refusal(present=present, backups=backups)


def span(partition: int, first: int, last: int) -> Range:
    return Range(partition, NOW - first * QUARTER, NOW - last * QUARTER)


def test_a_gap_in_one_partition_is_refused_by_name() -> None:
    ranges = [span(1, 8, 1), span(2, 8, 6), span(2, 4, 1), span(3, 8, 1)]
    assert chosen(RestoreRequest("demo", backup=94), ranges=ranges).backup == 94
    told = refusal(RestoreRequest("demo", backup=95), ranges=ranges)
    assert "lies in a gap: partition 2 can be restored from" in told
    assert chosen(RestoreRequest("demo", backup=96), ranges=ranges).backup == 96


def test_a_moment_in_a_gap_is_refused_by_name_and_on_both_sides_of_it_is_none() -> None:
    """Backup 95 was deleted: between 94 and 96 nothing is stored."""
    there = [one for one in BACKUPS if one.backup != 95]
    ranges = [span(1, 8, 6), span(1, 4, 1), span(2, 8, 6), span(2, 4, 1), span(3, 8, 1)]

    def at(quarters: float) -> RestoreRequest:
        return RestoreRequest("demo", to=NOW - quarters * QUARTER)

    for inside in (5.5, 5, 4.5):
        told = refusal(at(inside), backups=there, ranges=ranges)
        assert f"to is {written(NOW - inside * QUARTER)}, which lies in a gap: partition 1" in told
        assert f"{written(NOW - 6 * QUARTER)}, {written(NOW - 4 * QUARTER)} to" in told
    for outside, backup in ((7.5, 92), (6, 94), (4, 96), (3.5, 96), (0.5, 99)):
        assert chosen(at(outside), backups=there, ranges=ranges).backup == backup


def test_a_gap_of_seconds_is_one_and_partitions_write_a_backup_some_milliseconds_apart() -> None:
    """The time of a backup is that of its earliest partition; a range has each partition's own."""
    second, late = timedelta(seconds=1), timedelta(milliseconds=40)
    early, after = NOW - 40 * second, NOW - 20 * second
    there = [replace(checkpoint(9), at=early), replace(checkpoint(7), at=after)]
    ranges = [
        Range(partition, at + delay, at + delay)
        for partition, delay in ((1, 0 * late), (2, late), (3, 2 * late))
        for at in (early, after)
    ]

    def at(moment: datetime) -> RestoreRequest:
        return RestoreRequest("demo", to=moment)

    database = DatabaseFound(windows=(replace(WINDOW, latest=NOW),))
    for moment, backup in ((early, 91), (after, 93), (NOW, 93)):
        found = chosen(at(moment), backups=there, ranges=ranges, database=database)
        assert found.backup == backup
    told = refusal(at(early + 10 * second), backups=there, ranges=ranges, database=database)
    assert "lies in a gap: partition 1 can be restored from" in told


def test_the_only_backup_of_a_range_is_in_it_although_moments_are_cut_to_milliseconds() -> None:
    at = NOW - QUARTER + timedelta(microseconds=700)
    cut = [Range(one, NOW - QUARTER, NOW - QUARTER) for one in (1, 2, 3)]
    assert chosen(backups=[checkpoint(1, at=at)], ranges=cut).backup == 99


def snapshot(name: str, at: datetime, backup: int = 0) -> SnapshotFound:
    return SnapshotFound(name, at, backup)


def test_the_snapshot_that_was_taken_for_the_backup_is_restored_as_it_is() -> None:
    pair = snapshot("demo-backup-1", NOW - QUARTER - timedelta(minutes=2), backup=99)
    target = chosen(database=replace(CONTINUOUS, snapshots=(pair,)))
    assert (target.snapshot, target.source, target.database_at) == ("demo-backup-1", "", None)


def test_a_snapshot_after_the_brokers_backup_is_not_its_pair() -> None:
    """Brokers refuse a database that is ahead of them."""
    late = snapshot("demo-backup-1", NOW - QUARTER + timedelta(seconds=1), backup=99)
    assert chosen(database=replace(CONTINUOUS, snapshots=(late,))).source == DATABASE


def test_without_continuous_backup_an_older_snapshot_needs_the_brokers_ranges() -> None:
    old = snapshot("demo-nightly", NOW - 5 * QUARTER)
    database = DatabaseFound(snapshots=(old,))
    told = refusal(database=database)
    assert "needs the database of 2026-11-30T11:44:30.000Z" in told
    assert "none of the 1 snapshots fits" in told
    whole = [span(one, 8, 1) for one in (1, 2, 3)]
    assert chosen(database=database, ranges=whole).snapshot == "demo-nightly"
    # The brokers' range begins after it: what they exported before is in no backup any more.
    short = [span(one, 3, 1) for one in (1, 2, 3)]
    refusal(database=database, ranges=short)


def test_a_moment_outside_of_auroras_window_is_refused_with_the_window() -> None:
    late = Window(DATABASE, NOW - 2 * QUARTER, NOW)
    told = refusal(RestoreRequest("demo", backup=95), database=DatabaseFound(windows=(late,)))
    assert f"{DATABASE} from 2026-11-30T11:30:00.000Z to 2026-11-30T12:00:00.000Z" in told


def test_a_former_database_that_was_kept_is_the_source_where_the_present_is_too_young() -> None:
    database = DatabaseFound(windows=(FORMER, YOUNG))
    present = SECOND
    found = chosen(present=present, database=database, ranges=WHOLE)
    assert found.source == YOUNG.database
    older = chosen(RestoreRequest("demo", backup=94), present=present, database=database)
    assert older.source == DATABASE
    assert older.generation == 3


YOUNG = Window("control-demo-databasecluster-new", NOW - QUARTER * 3, NOW, NOW - QUARTER * 3)
FORMER = replace(WINDOW, latest=NOW, created=NOW - timedelta(days=30))
SECOND = replace(PRESENT, database=YOUNG.database, generation=2, snapshot="origin", restored="95")
WHOLE = [Range(one, NOW - 8 * QUARTER, NOW) for one in (1, 2, 3)]


def test_a_former_database_is_no_source_for_a_moment_after_it_was_replaced() -> None:
    """It can be restored to any moment until now, and has what the present brokers do not have."""
    # RDS restores the present one only from a while after its creation.
    late = replace(YOUNG, earliest=NOW - 2 * QUARTER)
    told = refusal(
        RestoreRequest("demo", backup=98),
        present=SECOND,
        database=DatabaseFound(windows=(FORMER, late)),
    )
    assert f"{DATABASE} from 2026-11-23T12:00:00.000Z to 2026-11-30T11:15:00.000Z" in told


def test_a_snapshot_of_a_former_database_after_it_was_replaced_is_none() -> None:
    by_hand = SnapshotFound("by-hand", NOW - 2 * QUARTER, 0, DATABASE, FORMER.created)
    told = refusal(
        RestoreRequest("demo", backup=99),
        present=SECOND,
        ranges=WHOLE,
        database=DatabaseFound(windows=(replace(YOUNG, earliest=NOW),), snapshots=(by_hand,)),
    )
    assert "none of the 0 snapshots fits" in told
    before = replace(by_hand, at=NOW - 5 * QUARTER)
    there = DatabaseFound(windows=(replace(YOUNG, earliest=NOW),), snapshots=(before,))
    request = RestoreRequest("demo", backup=96)
    not_behind = replace(SECOND, restored="97")
    target = chosen(request, present=not_behind, ranges=WHOLE, database=there)
    assert target.snapshot == "by-hand"
    # By its id, the restore application does not compare the two.
    assert "needs the database of" in refusal(request, present=SECOND, ranges=WHOLE, database=there)


def test_a_database_with_the_tags_that_is_younger_than_the_present_one_is_no_source() -> None:
    """Somebody restored it to look into it, with the tags."""
    by_hand = Window("by-hand", NOW - 2 * QUARTER, NOW, NOW - 2 * QUARTER)
    here = replace(YOUNG, earliest=NOW)
    refusal(
        RestoreRequest("demo", backup=99),
        present=SECOND,
        database=DatabaseFound(windows=(FORMER, here, by_hand)),
    )


def test_where_the_present_database_is_gone_a_former_one_is_used_only_before_its_origin() -> None:
    origin = SnapshotFound("origin", NOW - 4 * QUARTER, 0, DATABASE, FORMER.created)
    gone = DatabaseFound(windows=(FORMER,), snapshots=(origin,))
    present = replace(SECOND, restored="96")
    assert chosen(RestoreRequest("demo", backup=95), present=present, database=gone).source == (
        DATABASE
    )
    refusal(RestoreRequest("demo", backup=99), present=present, database=gone)
    unknown = DatabaseFound(windows=(FORMER,))
    refusal(RestoreRequest("demo", backup=95), present=present, database=unknown)


def test_the_snapshot_of_a_restores_copy_is_not_of_the_time_when_it_was_taken() -> None:
    copied = SnapshotFound("copied", NOW - 2 * QUARTER, 0, "staging", NOW - 3 * QUARTER, True)
    refusal(
        RestoreRequest("demo", backup=99),
        ranges=WHOLE,
        database=DatabaseFound(snapshots=(copied,)),
    )


def test_a_second_start_finds_what_the_first_has_made() -> None:
    first = chosen()
    made = snapshot(first.snapshot, first.at)
    # Before the stack was changed:
    again = chosen(database=replace(CONTINUOUS, snapshots=(made,)))
    assert (again.snapshot, again.staging) == (first.snapshot, first.staging)
    assert (again.generation, again.changed) == (2, False)
    # After it, when the database is another one:
    changed = replace(
        PRESENT,
        generation=2,
        snapshot=first.snapshot,
        restored=first.restored,
        database="control-demo-databasecluster-9",
    )
    resumed = chosen(present=changed, database=DatabaseFound())
    assert (resumed.snapshot, resumed.generation, resumed.changed) == (first.snapshot, 2, True)
    assert resumed.source == ""


def test_a_second_start_with_a_snapshot_of_a_pair_continues_too() -> None:
    pair = snapshot("demo-backup-1", NOW - QUARTER - timedelta(minutes=2), backup=99)
    present = replace(
        PRESENT, generation=2, snapshot="demo-backup-1", database="another", restored="99"
    )
    assert chosen(present=present, database=DatabaseFound(snapshots=(pair,))).changed
    assert chosen(present=PRESENT, database=CONTINUOUS).changed is False


def test_another_backup_is_another_restore() -> None:
    first = chosen()
    present = replace(PRESENT, generation=2, snapshot=first.snapshot)
    other = chosen(RestoreRequest("demo", backup=97), present=present)
    assert (other.generation, other.changed) == (3, False)
    assert other.snapshot != first.snapshot


def test_names_are_those_that_rds_takes() -> None:
    longest = replace(PRESENT, stack=f"{'c' * 32}-{'d' * 19}", generation=998)
    target = chosen(RestoreRequest("demo", backup=99), present=longest)
    for name in (target.snapshot, target.staging):
        assert len(name) <= 63
        assert name.startswith(f"{'c' * 32}-")
        assert "--" not in name
        assert not name.endswith("-")
    assert target.snapshot != target.staging
    hyphens = chosen(
        RestoreRequest("a--b-", backup=99), present=replace(PRESENT, stack="control-a--b-")
    )
    assert hyphens.snapshot.startswith("control-a-b-restore-")
    assert hyphens.staging.startswith("control-a-b-staging-")


def test_without_a_moment_what_aurora_does_not_reach_yet_is_left_out() -> None:
    """Its latest moment is up to five minutes ago, and backups are taken all the time."""
    backups = [replace(checkpoint(0), backup=100, at=NOW - timedelta(minutes=2)), *BACKUPS]
    assert chosen(backups=backups).backup == 99
    # It has a snapshot of its own:
    pair = snapshot("demo-backup-1", NOW - timedelta(minutes=3), backup=100)
    assert chosen(backups=backups, database=replace(CONTINUOUS, snapshots=(pair,))).backup == 100
    # What is named is restored, or refused with what Aurora restores.
    for request in (RestoreRequest("demo", backup=100), RestoreRequest("demo", to=NOW)):
        assert "2026-11-30T11:55:00.000Z" in refusal(request, backups=backups)


def test_aurora_restores_to_before_its_latest_moment_and_not_to_it() -> None:
    """As the reference of ``RestoreToTime`` has it; to the earliest it restores."""
    at = BACKUPS[0].at - MARGIN
    until = DatabaseFound(windows=(replace(WINDOW, latest=at),))
    assert chosen(database=until).backup == 98
    assert "none of the 0 snapshots fits" in refusal(
        RestoreRequest("demo", backup=99), database=until
    )
    later = replace(WINDOW, latest=at + timedelta(milliseconds=1))
    assert chosen(database=DatabaseFound(windows=(later,))).backup == 99
    since = replace(WINDOW, earliest=at)
    assert chosen(database=DatabaseFound(windows=(since,))).backup == 99


def test_the_key_is_that_of_what_is_restored() -> None:
    window = replace(WINDOW, key="arn:of-the-database")
    pair = replace(
        snapshot("pair", NOW - QUARTER - timedelta(minutes=2), 99), key="arn:of-the-pair"
    )
    older = replace(snapshot("older", NOW - QUARTER - timedelta(hours=1)), key="arn:of-the-older")
    database = DatabaseFound(windows=(window,))
    assert chosen(database=database).key == "arn:of-the-database"
    assert chosen(database=replace(database, snapshots=(pair, older))).key == "arn:of-the-pair"
    named = RestoreRequest("demo", backup=99)
    ranges = [span(one, 8, 1) for one in (1, 2, 3)]
    bare = DatabaseFound(snapshots=(older,))
    assert chosen(named, database=bare, ranges=ranges).key == "arn:of-the-older"
    # Made by an earlier start of the same restore:
    own = replace(snapshot(chosen().snapshot, NOW), key="arn:of-its-own", copied=True)
    assert chosen(database=replace(database, snapshots=(own,))).key == "arn:of-its-own"


def test_of_backups_that_all_fail_the_newest_is_told() -> None:
    told = refusal(database=DatabaseFound())
    assert told.startswith("Backup 99 of")


RESTORED = replace(PRESENT, generation=2, snapshot="control-demo-restore-1-0a1b2c3d")


def test_what_a_restore_left_behind_is_not_the_newest() -> None:
    """The bucket keeps it, with ids above that of the backup that was restored."""
    ranges = [span(one, 8, 4) for one in (1, 2, 3)]
    for request in (RestoreRequest("demo"), RestoreRequest("demo", to=NOW)):
        assert chosen(request, present=RESTORED, ranges=ranges).backup == 96
    told = refusal(RestoreRequest("demo", backup=98), present=RESTORED, ranges=ranges)
    assert "lies in a gap" in told


def test_after_a_restore_silent_brokers_leave_the_choice_to_a_person() -> None:
    for request in (RestoreRequest("demo"), RestoreRequest("demo", to=NOW - QUARTER)):
        told = refusal(request, present=RESTORED)
        assert "the brokers do not answer" in told
        assert "99 of 2026-11-30T11:45:00.000Z" in told
    assert chosen(RestoreRequest("demo", backup=96), present=RESTORED).backup == 96


def test_a_second_start_continues_with_the_backup_of_the_first_whatever_is_newer() -> None:
    first = chosen()
    present = replace(
        PRESENT,
        generation=2,
        snapshot=first.snapshot,
        restored=first.restored,
        database="another",
    )
    newer = [replace(checkpoint(0), backup=100, at=NOW - timedelta(minutes=2)), *BACKUPS]
    resumed = chosen(present=present, backups=newer)
    assert (resumed.backup, resumed.changed) == (first.backup, True)


def test_a_backup_that_another_bucket_has_only_in_part_is_restored() -> None:
    part = checkpoint(1, lacks="partition 2 has no manifest")
    for backups in ([part, *BACKUPS], [*BACKUPS, part]):
        assert chosen(RestoreRequest("demo", backup=99), backups=backups).backup == 99


# --- several databases ---------------------------------------------------------------------------

LONG_AGO = NOW - timedelta(days=30)
LEFT = [Range(one, NOW - 8 * QUARTER, NOW - QUARTER) for one in (1, 2, 3)]
"""Ranges of a cluster that was restored to 95 at a time after 93 and went on with 99."""
ORIGIN = SnapshotFound("origin", NOW - 4 * QUARTER, 95, "staging", None, copied=True)
BOTH = DatabaseFound(windows=(FORMER, YOUNG), snapshots=(ORIGIN,))


def restored_to(backup: int) -> DatabaseFound:
    return replace(BOTH, snapshots=(replace(ORIGIN, backup=backup),))


def test_a_snapshot_of_a_database_that_was_replaced_is_none_for_a_later_backup() -> None:
    """It may have what the restore took back: brokers of another history would lack it."""
    former = SnapshotFound("nightly", NOW - 4 * QUARTER, 0, DATABASE, FORMER.created)
    database = DatabaseFound(windows=(replace(YOUNG, earliest=NOW),), snapshots=(former,))
    told = refusal(
        RestoreRequest("demo", backup=98), present=SECOND, ranges=WHOLE, database=database
    )
    assert "none of the 0 snapshots fits" in told
    # What the present one was made of has nothing else; its stack cannot restore it again.
    made = replace(SECOND, snapshot="nightly")
    told = refusal(RestoreRequest("demo", backup=98), present=made, ranges=WHOLE, database=database)
    assert "made of snapshot nightly, which CloudFormation restores no second time" in told
    request = RestoreRequest("new", backup=98)
    target = choose(request, NEW, BACKUPS, WHOLE, database, now=NOW, of=replace(made))
    assert target.snapshot == "nightly"


def test_a_snapshot_of_an_earlier_cluster_of_the_name_is_none_for_backups_of_the_later() -> None:
    first = SnapshotFound("first", NOW - timedelta(days=9), 0, "first", NOW - timedelta(days=20))
    later = NOW - timedelta(days=8)
    final = SnapshotFound("final", NOW, 0, "second", later)
    told = kept_refusal(RestoreRequest("demo", backup=99), DatabaseFound(snapshots=(first, final)))
    assert "none of the 1 snapshots fits" in told
    pair = replace(final, name="pair", at=NOW - 2 * QUARTER, backup=99)
    target = kept(RestoreRequest("demo"), DatabaseFound(snapshots=(first, final, pair)))
    assert (target.backup, target.snapshot, target.by_id) == (99, "pair", False)


NEW = replace(PRESENT, stack="control-new", database="")


def kept(request: RestoreRequest, database: DatabaseFound) -> Target:
    """A new cluster of what a torn-down one has left."""
    return choose(request, NEW, BACKUPS, [], database, now=NOW, of=replace(NEW), gone=True)


def kept_refusal(request: RestoreRequest, database: DatabaseFound) -> str:
    with pytest.raises(RestoreRefused) as caught:
        kept(request, database)
    return caught.value.message


def test_a_torn_down_cluster_that_was_restored_just_before_leaves_the_choice_to_a_person() -> None:
    """What the restore left behind is above what it restored, and no broker has ranges any more."""
    first = SnapshotFound("first", NOW - 3 * QUARTER, 98, DATABASE, LONG_AGO)
    final = SnapshotFound("final", NOW, 0, "second", NOW - timedelta(minutes=5))
    database = DatabaseFound(snapshots=(first, final))
    for request in (RestoreRequest("new"), RestoreRequest("new", to=NOW)):
        told = kept_refusal(request, database)
        assert "last database was created at 2026-11-30T11:55:00.000Z" in told
        assert "99 of 2026-11-30T11:45:00.000Z" in told
    named = kept(RestoreRequest("new", backup=98), database)
    assert (named.snapshot, named.by_id) == ("first", True)
    # The moment is of before that restore: then the database was the first one.
    then = kept(RestoreRequest("new", to=NOW - 2 * QUARTER), database)
    assert (then.backup, then.snapshot) == (98, "first")


def test_of_a_torn_down_cluster_that_was_restored_only_later_backups_are_taken() -> None:
    first = SnapshotFound("first", NOW - 6 * QUARTER, 95, DATABASE, LONG_AGO)
    made = NOW - 3 * QUARTER + timedelta(minutes=1)
    second = SnapshotFound("second", NOW - 2 * QUARTER, 0, "second", made)
    database = DatabaseFound(snapshots=(first, second))
    assert kept(RestoreRequest("new"), database).backup == 99
    # None of the last database is left: what is older is not taken instead.
    lost = DatabaseFound(snapshots=(first, replace(second, at=NOW)))
    assert "Backup 99" in kept_refusal(RestoreRequest("new"), lost)


def test_what_a_restore_left_behind_is_not_chosen_when_newer_backups_make_it_look_covered() -> None:
    """Its time is in the range, which goes on from the backup that was restored, and it is not."""
    found = chosen(present=SECOND, ranges=LEFT, database=restored_to(95))
    assert found.backup == 99
    told = refusal(
        RestoreRequest("demo", to=NOW - 4 * QUARTER),
        present=SECOND,
        ranges=LEFT,
        database=restored_to(95),
    )
    assert "the cluster was restored at 2026-11-30T11:15:00.000Z" in told
    assert "96 of 2026-11-30T11:00:00.000Z" in told
    named = chosen(
        RestoreRequest("demo", backup=96), present=SECOND, ranges=LEFT, database=restored_to(95)
    )
    assert (named.source, named.by_id) == (DATABASE, True)


def test_what_came_before_the_backup_that_was_restored_is_of_the_present_data() -> None:
    for request in (
        RestoreRequest("demo", to=NOW - 6 * QUARTER),
        RestoreRequest("demo", backup=94),
    ):
        target = chosen(request, present=SECOND, ranges=LEFT, database=restored_to(95))
        assert (target.backup, target.source, target.by_id) == (94, DATABASE, False)


def test_a_moment_after_a_restore_is_not_of_what_it_left_behind() -> None:
    backups = [one for one in BACKUPS if one.backup not in {97, 98}]
    target = chosen(
        RestoreRequest("demo", to=NOW - 2 * QUARTER),
        present=SECOND,
        backups=backups,
        ranges=LEFT,
        database=restored_to(95),
    )
    assert target.backup == 95


def test_a_second_start_with_what_was_left_behind_restores_it_by_its_id_too() -> None:
    first = chosen(
        RestoreRequest("demo", backup=96), present=SECOND, ranges=LEFT, database=restored_to(95)
    )
    third = Window("control-demo-databasecluster-3", NOW, NOW, NOW)
    changed = replace(
        SECOND,
        generation=3,
        snapshot=first.snapshot,
        restored=first.restored,
        database=third.database,
    )
    made = SnapshotFound(first.snapshot, NOW, 96, "staging", NOW, copied=True)
    database = DatabaseFound(windows=(FORMER, YOUNG, third), snapshots=(ORIGIN, made))
    again = chosen(RestoreRequest("demo", backup=96), present=changed, database=database)
    assert (again.changed, again.by_id) == (True, True)


class TestWithAnOlderSnapshot:
    """A weekly pair, and a backup of days later whose moment Aurora does not restore any more."""

    PAIR = snapshot("pair-of-95", NOW - 5 * QUARTER - timedelta(minutes=2), backup=95)
    THERE = DatabaseFound(snapshots=(PAIR,))

    def first(self) -> Target:
        return chosen(RestoreRequest("demo", backup=98), ranges=WHOLE, database=self.THERE)

    def after(self) -> Present:
        first = self.first()
        return replace(
            PRESENT,
            generation=2,
            snapshot=first.snapshot,
            restored=first.restored,
            database="control-demo-databasecluster-2",
        )

    def test_it_is_restored_by_its_time_so_that_both_are_compared(self) -> None:
        first = self.first()
        assert (first.backup, first.snapshot, first.by_id) == (98, self.PAIR.name, False)
        assert first.restored == "98"

    def test_an_interrupted_restore_continues_while_the_brokers_are_silent(self) -> None:
        for request in (
            RestoreRequest("demo", backup=98),
            RestoreRequest("demo", to=NOW - 2 * QUARTER),
        ):
            again = chosen(request, present=self.after(), database=self.THERE)
            assert (again.backup, again.changed, again.generation) == (98, True, 2)
            assert again.by_id is False

    def test_the_backup_of_the_pair_is_another_one_and_its_snapshot_is_spent(self) -> None:
        """It would be reported as restored, and nothing would have been."""
        request, present = RestoreRequest("demo", backup=95), self.after()
        with pytest.raises(RestoreRefused, match="restores no second time in the same stack"):
            chosen(request, present=present, database=self.THERE)
        former = replace(WINDOW, created=NOW - timedelta(days=30))
        mine = Window(present.database, NOW, NOW, NOW - timedelta(minutes=1))
        there = replace(self.THERE, windows=(former, mine))
        found = chosen(request, present=present, database=there)
        assert (found.backup, found.changed, found.generation) == (95, False, 3)
        assert (found.source, found.snapshot) == (DATABASE, "control-demo-restore-2-d79fa1bd")

    def test_it_is_no_source_for_brokers_that_go_to_a_backup_by_its_id(self) -> None:
        gone = replace(PRESENT, database="")
        request = RestoreRequest("demo", backup=98)
        assert (
            choose(request, PRESENT, BACKUPS, [], self.THERE, now=NOW, of=gone, gone=True).snapshot
            == self.PAIR.name
        )
        with pytest.raises(RestoreRefused, match="needs the database of"):
            choose(
                request,
                PRESENT,
                BACKUPS,
                [],
                self.THERE,
                now=NOW,
                of=gone,
                gone=True,
                continuous=False,
            )


def test_while_a_database_that_brokers_never_used_is_there_nothing_is_restored() -> None:
    """An update that was rolled back leaves it; after the next restore it would pass as former."""
    mine = replace(WINDOW, created=NOW - timedelta(days=30))
    left = Window("control-demo-left", NOW - 3 * QUARTER, NOW, NOW - 3 * QUARTER)
    told = refusal(database=DatabaseFound(windows=(mine, left)))
    assert "control-demo-left has the tags of the cluster and is younger" in told


@pytest.mark.parametrize(
    ("engine", "declared", "taken"),
    [
        ("16.9", "16.9", True),
        ("16.9", "16.11", True),
        ("16.9", "16.6", False),
        ("15.12", "16.9", False),
        ("17.4", "16.9", False),
        ("16.9", "16", True),
        ("", "16.9", True),
    ],
)
def test_the_stacks_version_of_aurora_has_to_take_what_is_restored(
    engine: str, declared: str, taken: bool
) -> None:
    target = chosen(database=DatabaseFound(windows=(replace(WINDOW, engine=engine),)))
    assert target.engine == engine
    if taken:
        refuse_other_engine(target, declared)
        return
    with pytest.raises(RestoreRefused, match=f"DatabaseEngineVersion is {declared}"):
        refuse_other_engine(target, declared)


# --- several restores ----------------------------------------------------------------------------

FIRST = replace(FORMER, database="first", created=LONG_AGO, generation=1)
MIDDLE = Window(
    "middle", NOW - 5 * QUARTER, NOW, NOW - 5 * QUARTER + timedelta(minutes=1), generation=2
)
LAST = Window("last", NOW, NOW, NOW - QUARTER - timedelta(minutes=1), generation=3)
THIRD = replace(
    PRESENT, database="last", generation=3, snapshot="of-97", restored="97", since=LONG_AGO
)
"""Restored to 93 after 95 was made, and to 97 after 98 was."""
ALL = DatabaseFound(windows=(FIRST, MIDDLE, LAST))


def test_what_the_restore_before_the_last_left_behind_is_restored_by_its_id() -> None:
    """Its id is below that of the last one, and the brokers have no range with it."""
    found = chosen(RestoreRequest("demo", backup=94), present=THIRD, ranges=WHOLE, database=ALL)
    assert (found.source, found.by_id) == ("first", True)
    told = refusal(
        RestoreRequest("demo", to=NOW - 6 * QUARTER), present=THIRD, ranges=WHOLE, database=ALL
    )
    assert "94 of 2026-11-30T10:30:00.000Z, may be of what that restore left behind" in told
    # What came between the two is of the present data, up to that to which the last one went.
    found = chosen(
        RestoreRequest("demo", to=NOW - 4 * QUARTER), present=THIRD, ranges=WHOLE, database=ALL
    )
    assert (found.backup, found.source, found.by_id) == (96, "middle", False)
    found = chosen(RestoreRequest("demo", backup=98), present=THIRD, ranges=WHOLE, database=ALL)
    assert (found.source, found.by_id) == ("middle", True)


def test_without_a_trace_of_the_middle_one_the_first_was_not_in_use_until_the_last() -> None:
    """By time, brokers of the middle one's history would get a database of another history."""
    late = SnapshotFound("late", NOW - 4 * QUARTER - timedelta(minutes=2), 96, "first", LONG_AGO)
    early = SnapshotFound("early", NOW - 7 * QUARTER, 93, "first", LONG_AGO)
    known = DatabaseFound(windows=(FIRST, LAST), snapshots=(early,))
    request = RestoreRequest("demo", backup=97)
    told = refusal(request, present=replace(THIRD, restored="99"), ranges=WHOLE, database=known)
    assert "first from 2026-11-23T12:00:00.000Z to 2026-11-30T10:15:00.000Z" in told
    # What was taken for a backup is of the database that the brokers had then.
    known = replace(known, snapshots=(early, late))
    pair = RestoreRequest("demo", backup=96)
    found = chosen(pair, present=replace(THIRD, restored="99"), ranges=WHOLE, database=known)
    assert (found.snapshot, found.by_id) == ("late", True)


def test_a_snapshot_without_the_number_does_not_hide_that_of_another_one() -> None:
    """RDS copies no tags to a snapshot that is requested with tags of its own."""
    marked = SnapshotFound("final", NOW - 4 * QUARTER, 0, "first", LONG_AGO, generation=1)
    plain = SnapshotFound("backup", NOW - 7 * QUARTER, 93, "first", LONG_AGO)
    cluster = replace(THIRD, restored="99")
    for snapshots in ((marked, plain), (plain, marked)):
        lives = lifetimes(DatabaseFound(windows=(LAST,), snapshots=snapshots), cluster)
        assert lives.until("first", LONG_AGO) == plain.at


def test_of_a_cluster_that_was_made_of_another_one_no_former_database_is_missing() -> None:
    """Its first database has the number 2; and without tags, nothing shows that one is missing."""
    request = RestoreRequest("demo", backup=96)
    for number in (2, 0):
        known = DatabaseFound(windows=(replace(FIRST, generation=number), LAST))
        found = chosen(request, present=THIRD, ranges=WHOLE, database=known)
        assert (found.source, found.by_id) == ("first", False)


def test_a_snapshot_of_a_database_that_brokers_never_used_is_named() -> None:
    """RDS copies the tags of the database that an update left and a person deleted."""
    mine = replace(WINDOW, created=LONG_AGO)
    left = SnapshotFound("left-final", NOW, 0, "left", NOW - 3 * QUARTER)
    told = refusal(database=DatabaseFound(windows=(mine,), snapshots=(left,)))
    assert "Snapshot left-final has the tags of the cluster and is of a database" in told


def test_after_a_restore_that_did_not_end_and_a_teardown_the_way_on_is_named() -> None:
    """The teardown kept a snapshot of a database that no broker has worked with."""
    pair = SnapshotFound("pair", NOW - 8 * QUARTER, 92, DATABASE, LONG_AGO)
    left = SnapshotFound("left-final", NOW, 0, "left", NOW - timedelta(minutes=1))
    for request in (RestoreRequest("new"), RestoreRequest("new", backup=99)):
        with pytest.raises(RestoreRefused) as caught:
            kept(request, DatabaseFound(snapshots=(pair, left)))
        assert "worked with the database of left-final" in caught.value.next_step
        assert "remove the tags" in caught.value.next_step
    found = kept(RestoreRequest("new"), DatabaseFound(snapshots=(pair,)))
    assert (found.backup, found.snapshot, found.by_id) == (99, "pair", False)


# --- a restore that has ended --------------------------------------------------------------------

ENDED = LastRestore("demo.restore.1", ended=True)
TO_99 = replace(SECOND, restored="99")


def after(last: LastRestore | None, request: RestoreRequest, **more: Any) -> Target:
    given = {"backups": BACKUPS, "ranges": WHOLE, "database": BOTH, **more}
    return choose(
        request, TO_99, given["backups"], given["ranges"], given["database"], now=NOW, last=last
    )


def test_what_has_ended_is_restored_again_only_by_name() -> None:
    for request in (RestoreRequest("demo"), RestoreRequest("demo", backup=99)):
        with pytest.raises(RestoreRefused, match=r"is of backup 99 already: demo\.restore\.1"):
            after(ENDED, request)
    again = RestoreRequest("demo", backup=99, again=True)
    for last in (ENDED, LastRestore(), None):
        assert (after(last, again).changed, after(last, again).generation) == (False, 3)


def test_what_has_not_ended_continues_and_so_does_its_repetition() -> None:
    begun = LastRestore("demo.restore.1", ended=False)
    for again in (False, True):
        found = after(begun, RestoreRequest("demo", backup=99, again=again))
        assert (found.changed, found.generation) == (True, 2)


def test_a_newer_backup_that_aurora_does_not_reach_yet_is_not_replaced_by_what_has_ended() -> None:
    newer = replace(checkpoint(0), backup=100, at=NOW)
    late = replace(BOTH, windows=(FORMER, replace(YOUNG, latest=NOW - timedelta(minutes=5))))
    with pytest.raises(RestoreRefused, match="Backup 100 of"):
        after(ENDED, RestoreRequest("demo"), backups=[*BACKUPS[:1], newer], database=late)


def test_silent_brokers_are_named_before_what_has_ended() -> None:
    with pytest.raises(RestoreRefused, match="the brokers do not answer"):
        after(ENDED, RestoreRequest("demo"), ranges=[])


def test_a_database_that_brokers_never_used_is_in_the_way_also_after_a_restore() -> None:
    left = Window("left", NOW, NOW, NOW)
    there = replace(BOTH, windows=(*BOTH.windows, left))
    newer = replace(checkpoint(0), backup=100, at=NOW - timedelta(minutes=6))
    with pytest.raises(RestoreRefused, match="Database left has the tags"):
        after(ENDED, RestoreRequest("demo"), backups=[*BACKUPS, newer], database=there)


def test_snapshots_of_the_present_database_are_never_younger_than_it() -> None:
    mine = replace(WINDOW, created=LONG_AGO)
    of_it = SnapshotFound("of-it", NOW, 0, DATABASE, LONG_AGO + timedelta(milliseconds=1))
    assert chosen(database=DatabaseFound(windows=(mine,), snapshots=(of_it,))).backup == 99


def restored(number: int, result: str, *steps: str, changed: str = "then") -> Record:
    return Record(
        f"demo.restore.{number}",
        "demo",
        "restore",
        "arn",
        "then",
        timeline=[{"step": one, "at": "then"} for one in steps],
        result=result,
        changed_at=changed,
    )


DONE = restored(1, "SUCCEEDED", STACK_BUILT)
EARLY = restored(2, "FAILED", DATABASE_RESTORED)
LATE = restored(3, "FAILED", DATABASE_RESTORED, STACK_BUILT)
CONTINUED = restored(4, "SUCCEEDED", BROKERS_RESTORED)
REFUSED = restored(5, "FAILED", changed="")


@pytest.mark.parametrize(
    ("records", "running", "operation", "ended"),
    [
        ([DONE], True, "demo.restore.1", True),
        # It made nothing of the present data.
        ([REFUSED, EARLY, DONE], False, "demo.restore.1", True),
        ([LATE, DONE], True, "demo.restore.3", False),
        ([REFUSED, CONTINUED, LATE, DONE], False, "demo.restore.4", True),
        ([EARLY], False, "", None),
        ([], False, "", None),
        ([], True, "an earlier operation", True),
        ([replace(DONE, machine="scale")], False, "", None),
    ],
)
def test_which_restore_made_the_present_data(
    records: list[Record], running: bool, operation: str, ended: bool | None
) -> None:
    assert last_restore(records, running=running) == LastRestore(operation, ended)
