"""Backups that the brokers make by themselves: their parameters, and what a restore takes."""

from __future__ import annotations

import re
from typing import Final

_DURATION: Final = re.compile(r"PT([1-9][0-9]*)([HM])")
# Minutes between backups, and minutes until the restored cluster works, where 50 process instances
# a second are started: https://camunda.github.io/zeebe-chaos/ (March 2026, relational database).
_MEASURED: Final = ((5, 5.7), (15, 9.3), (60, 24.7))


def minutes(duration: str) -> int:
    """Return the minutes of a duration, ``PT15M`` or ``PT1H``, as the template takes them."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f"{duration} is not a duration such as PT15M or PT1H")
    return int(found[1]) * (60 if found[2] == "H" else 1)


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
