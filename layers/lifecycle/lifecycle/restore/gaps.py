"""Which backups and moments lie within the ranges of the brokers, and which in a gap."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from lifecycle.errors import RestoreRefused
from lifecycle.restore.facts import MARGIN
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lifecycle.restore.facts import Checkpoint, Range

# Times of ranges are cut to milliseconds, those of backups are not.
_CUT: Final = timedelta(milliseconds=1)


def is_covered(one: Checkpoint, ranges: Sequence[Range]) -> bool:
    """Return whether a backup lies in a range of each partition that has any."""
    return {each.partition for each in ranges} == {
        each.partition for each in ranges if _covers(each, one)
    }


def refuse_outside(chosen: Checkpoint, ranges: Sequence[Range]) -> None:
    """Refuse a backup that lies in no range of a partition: something before it is missing."""
    for partition, mine in _by_partition(ranges).items():
        if not any(_covers(one, chosen) for one in mine):
            raise RestoreRefused(
                f"Backup {chosen.backup} of {written(chosen.at)} lies in a gap: partition "
                f"{partition} can be restored from {_spans(mine)}.",
            )


def refuse_gap(moment: datetime, before: Checkpoint, ranges: Sequence[Range]) -> None:
    """Refuse a moment between two ranges of a partition: what came before it is of another time.

    ``before`` is the last backup before the moment. Within a range, and after the last one, that is
    the backup of the moment.
    """
    for partition, mine in _by_partition(ranges).items():
        of = next((one for one in mine if one.end >= before.at - _CUT), None)
        if of is not None and moment > of.end and any(one.start > of.end for one in mine):
            raise RestoreRefused(
                f"to is {written(moment)}, which lies in a gap: partition {partition} can be "
                f"restored from {_spans(mine)}.",
            )


def _by_partition(ranges: Sequence[Range]) -> dict[int, list[Range]]:
    """Return the ranges of each partition that has any, both in order."""
    found: dict[int, list[Range]] = {}
    for one in sorted(ranges, key=lambda each: (each.partition, each.start)):
        found.setdefault(one.partition, []).append(one)
    return found


def _spans(mine: Sequence[Range]) -> str:
    return ", ".join(f"{written(one.start)} to {written(one.end)}" for one in mine)


def _covers(one: Range, chosen: Checkpoint) -> bool:
    """Return whether a range has a backup.

    Its ends are times of checkpoints as its partition wrote them, to the millisecond and a moment
    after that of the earliest partition; ranges are minutes apart.
    """
    return one.start - MARGIN <= chosen.at <= one.end + MARGIN


def within(at: datetime, chosen: Checkpoint, ranges: Sequence[Range]) -> bool:
    """Return whether brokers that go to the backup have what came after a moment, in every range.

    The log of a range begins before its first backup, at what was exported then, so that a
    snapshot which was taken just before that backup fits as well.
    """
    return all(one.start - 2 * MARGIN <= at for one in ranges if _covers(one, chosen))
