"""Backups that the brokers make by themselves: their parameters, and what a restore takes."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_DURATION: Final = re.compile(r"PT([1-9][0-9]*)([HM])")
# Minutes between backups, and minutes until the restored cluster works, where 50 process instances
# a second are started: https://camunda.github.io/zeebe-chaos/ (March 2026, relational database).
_MEASURED: Final = ((5, 5.7), (15, 9.3), (60, 24.7))
# A backup is old after so many intervals; a backup of a large cluster takes minutes, and it is made
# again when a broker is replaced meanwhile, so it is not old within the hour.
_INTERVALS: Final = 3
_LEAST: Final = timedelta(hours=1)
# Of the longest interval that the template takes.
_LONGEST: Final = timedelta(hours=3)
# Between first Saturdays are 35 days at most, and 98 between those of two quarters.
_REHEARSED: Final = {
    "monthly": timedelta(days=35 + 7),
    "quarterly": timedelta(days=98 + 7),
}


def minutes(duration: str) -> int:
    """Return the minutes of a duration, ``PT15M`` or ``PT1H``, as the template takes them."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f"{duration} is not a duration such as PT15M or PT1H")
    return int(found[1]) * (60 if found[2] == "H" else 1)


def overdue(schedule: str) -> timedelta:
    """Return the age from which the newest backup is old: three intervals, an hour at least.

    ``schedule`` is the stack's ``BackupSchedule``; three hours where the stack does not show it,
    as one that 0.2.0 updated last does not.
    """
    if not _DURATION.fullmatch(schedule):
        return _LONGEST
    return max(_INTERVALS * timedelta(minutes=minutes(schedule)), _LEAST)


def rehearsal_overdue(schedule: str) -> timedelta | None:
    """Return the age from which the last rehearsal is old; None without a schedule.

    ``schedule`` is the stack's ``RehearsalSchedule``: its longest interval and a week, in which one
    that was left out can be started by request.
    """
    return _REHEARSED.get(schedule)


def restore_minutes(schedule: str) -> int:
    """Minutes of work that a restore takes at most, between and beyond what was measured."""
    between = minutes(schedule)
    (x0, y0), (x1, y1) = _MEASURED[:2] if between <= _MEASURED[1][0] else _MEASURED[1:]
    return round(y0 + (between - x0) * (y1 - y0) / (x1 - x0))


def expectation(continuous: str, schedule: str, checkpoints: str, days: str) -> str:
    """Describe in a sentence what can be restored and how long it takes.

    ``days`` is how long both the brokers' backups and Aurora's are kept.
    """
    if continuous != "true":
        return "No broker data can be restored: continuous backup is disabled."
    return (
        f"A restore goes back {days} days at most, to a checkpoint; one is created every "
        f"{minutes(checkpoints)} minutes, and takes about {restore_minutes(schedule)} minutes in "
        "addition to Aurora's restore (measured by Camunda at 50 process instances started per "
        "second; it depends on your load)."
    )
