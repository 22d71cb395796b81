"""Which checkpoints can be restored: ranges of a partition, and the checkpoint of a request.

A checkpoint is a backup, or a MARKER between two of them, whose log the next backup brings: a
marker after the newest backup cannot be restored. `RestoreSolver` and `BackupMetadata` of
camunda/camunda (#46541, #46729).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

MARKER = "MARKER"


class NothingFits(Exception):
    """No checkpoint can be restored as requested; the words are Camunda's, with the reason."""


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint of one partition."""

    id: int
    kind: str
    at: datetime
    position: int
    after: int = 0
    """Position of the last record that is not in its log; 0 when the log begins with the first."""
    previous: int = 0
    """Id of the checkpoint that the partition had confirmed before."""

    @property
    def backup(self) -> bool:
        """Whether it is a backup."""
        return self.kind != MARKER

    @property
    def first_log_position(self) -> int:
        """Give the first position in its log; the log overlaps the one before it by a record."""
        return max(1, self.after)


@dataclass(frozen=True)
class Range:
    """Checkpoints without a gap, in order; the last one is a backup."""

    checkpoints: tuple[Checkpoint, ...]

    @property
    def start(self) -> Checkpoint:
        """The first backup: markers before it are in its log."""
        return next(one for one in self.checkpoints if one.backup)

    @property
    def end(self) -> Checkpoint:
        """The last backup."""
        return self.checkpoints[-1]

    @property
    def first_log_position(self) -> int:
        """Give the first position from which the log is there."""
        return self.checkpoints[0].first_log_position


def ranges(checkpoints: Iterable[Checkpoint]) -> list[Range]:
    """Give the ranges of one partition, the oldest first.

    A range is broken where the checkpoint before is not there, or where the log between them is
    not. What a restore left behind, because it went to an earlier checkpoint, is in no range: the
    partition goes on from its own list of checkpoints, which is that of the earlier one. Ids grow,
    so that whatever lies between a checkpoint and the one that it names as the one before it is of
    no use, also when that one was deleted since.
    """
    known = {one.id: one for one in checkpoints}
    found = []
    before: float = math.inf
    for tip in sorted(known.values(), key=lambda one: one.id, reverse=True):
        if tip.id > before:
            continue
        path = [tip]
        while (earlier := known.get(path[-1].previous)) and path[-1].after <= earlier.position:
            path.append(earlier)
        before = path[-1].previous
        while path and not path[0].backup:
            path.pop(0)
        if path:
            found.append(Range(tuple(reversed(path))))
    return found[::-1]


def solve(
    found: Mapping[int, Sequence[Range]],
    exported: Mapping[int, int],
    *,
    since: datetime | None = None,
    to: datetime | None = None,
) -> int:
    """Give the id of the checkpoint that all partitions (keys of `found`) have and that fits.

    Without `to` it is the latest, else the one whose time is the closest to it, before or after.
    `exported` has how far the secondary storage is, by partition: the range's log must reach back
    to that, and the checkpoint must not be before it. Raises NothingFits.
    """
    usable = {
        partition: {one.id: one for one in _range(partition, own, exported[partition], since)}
        for partition, own in sorted(found.items())
    }
    candidates = sorted(usable[min(usable)].values(), key=lambda one: one.id, reverse=True)
    if to is not None:
        candidates.sort(key=lambda one: abs(one.at - to))
    for candidate in candidates:
        held = {partition: own.get(candidate.id) for partition, own in usable.items()}
        if all(one and one.position >= exported[number] for number, one in held.items()):
            return candidate.id
    counts = {partition: len(own) for partition, own in usable.items()}
    raise NothingFits(
        "Could not find common checkpoint across partitions. Restorable checkpoint count per "
        f"partition: {counts}, exported positions: {dict(exported)}"
    )


def _range(
    partition: int, own: Sequence[Range], exported: int, since: datetime | None
) -> Iterable[Checkpoint]:
    """Checkpoints of the first range that fits."""
    for one in own:
        late = since is not None and one.start.at > since
        # A partition of which nothing was exported yet begins with its first record.
        behind = one.first_log_position > max(exported, 1)
        if not late and not behind and exported <= one.end.position:
            return one.checkpoints
    shown = [
        f"[{one.start.id} from position {one.first_log_position}, "
        f"{one.end.id} to position {one.end.position}]"
        for one in own
    ]
    raise NothingFits(
        f"No usable range found for partition {partition} with "
        f"from={since.isoformat() if since else None}, exportedPosition={exported}: "
        f"{_reason(own, exported)}. Available ranges: {', '.join(shown) or 'none'}"
    )


def _reason(own: Sequence[Range], exported: int) -> str:
    if not own:
        return "there is no backup"
    if exported > own[-1].end.position:
        return "the secondary storage is ahead of the newest backup"
    if exported < own[0].first_log_position:
        return "the secondary storage is behind the oldest log"
    if any(one.first_log_position <= max(exported, 1) <= one.end.position for one in own):
        return "the range begins later"
    return "the secondary storage is in a gap"
