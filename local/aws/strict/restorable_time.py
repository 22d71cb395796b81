"""RDS restores to an instant from the earliest to before the latest restorable time.

`LatestRestorableTime` is up to five minutes behind, and never goes back. `EarliestRestorableTime`
is the beginning of the continuous backup, and never longer ago than `BackupRetentionPeriod`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from local.aws.strict import Rule
from local.aws.strict.database_references import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from local.aws.strict import Strictness

BEHIND_SECONDS: Final = 3.0
"""As long as the instance's file names no other; up to 300 on AWS."""


_VALUE: Final = "InvalidParameterValue"


class Lag:
    """How far `LatestRestorableTime` is behind in this instance."""

    def __init__(self) -> None:
        self._file: Path | None = None

    def follow(self, file: Path) -> None:
        """Read the number of seconds from `file` from now on, at each look, while it exists."""
        self._file = file

    @property
    def seconds(self) -> float:
        """Seconds, as they are now."""
        try:
            return float(json.loads(self._file.read_text())) if self._file else BEHIND_SECONDS
        except FileNotFoundError:
            return BEHIND_SECONDS


LAG: Final = Lag()


def window(
    since: datetime, days: int, now: datetime, *, behind: float, before: datetime | None = None
) -> tuple[datetime, datetime]:
    """Give the earliest and the latest restorable time.

    `since` is the beginning of the backup, `days` its retention, `behind` the seconds that it is
    behind `now`, and `before` the latest restorable time that was shown before.
    """
    earliest = max(since, now - timedelta(days=days))
    latest = now - timedelta(seconds=behind)
    return earliest, max(earliest, latest, before or earliest)


def instant(
    given: str,
    *,
    latest: bool,
    clone: bool,
    window: tuple[datetime, datetime],
    now: datetime,
) -> datetime | Refusal:
    """Give the instant to restore to, or why there is none.

    `given` is `RestoreToTime` as in the request, `latest` the value of `UseLatestRestorableTime`,
    `clone` whether `RestoreType` is `copy-on-write`, and `window` what is restorable.
    """
    if bool(given) == latest:
        return Refusal(
            "InvalidParameterCombination",
            "Specify either RestoreToTime or UseLatestRestorableTime.",
        )
    if clone:
        return (
            Refusal(
                "InvalidParameterCombination",
                "RestoreToTime cannot be specified with the RestoreType copy-on-write.",
            )
            if given
            else now
        )
    if latest:
        return window[1]
    try:
        wanted = datetime.fromisoformat(given)
    except ValueError:
        return Refusal(_VALUE, f"RestoreToTime is not a time in UTC: {given}.")
    if wanted.tzinfo is None:
        wanted = wanted.replace(tzinfo=UTC)
    if not window[0] <= wanted < window[1]:
        first, last = (one.isoformat(timespec="milliseconds") for one in window)
        return Refusal(
            _VALUE,
            f"The cluster cannot be restored to {given}: restorable are times from {first} and"
            f" before {last}.",
        )
    return wanted


def install(strictness: Strictness) -> None:
    """Let a test set the lag of its instance."""
    LAG.follow(strictness.instance.config.restorable_file)


RULE: Final = Rule(
    name="restorable-time",
    does="RDS restores a cluster to an instant from `EarliestRestorableTime`, which is never longer"
    " ago than `BackupRetentionPeriod`, to *before* `LatestRestorableTime`, which is up to five"
    " minutes behind.",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterToPointInTime.html",
    caught="a restore was planned to exactly the latest restorable time, which RDS rejects.",
    install=install,
)
