"""The cluster's maintenance window: when it opens next, on the clocks of its own time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_TIME: Final = r"(?:[01]\d|2[0-3]):[0-5]\d"
_SHAPE: Final = re.compile(rf"((?:(?:{'|'.join(DAYS)}) )+)({_TIME})-({_TIME})")
# What is begun in a window has to have a chance to be done in it.
LEAST_LEFT: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Window:
    """Days of the week (0 is Monday) on which it opens, local times, and their time zone.

    One that ends at or before its beginning ends on the day after.
    """

    days: frozenset[int]
    begins: time
    ends: time
    zone: ZoneInfo


def read_window(text: str, zone: str) -> Window | None:
    """Read ``SAT SUN 02:00-06:00``; None for an empty text: any time will do.

    Raises ``ValueError`` for another shape, for a window shorter than half an hour, and for a time
    zone that the IANA time zone database does not have.
    """
    if not text:
        return None
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a window such as SAT SUN 02:00-06:00")
    begins, ends = time.fromisoformat(found[2]), time.fromisoformat(found[3])
    days = frozenset(DAYS.index(day) for day in found[1].split())
    window = Window(days, begins, ends, read_zone(zone))
    day = datetime(2026, 1, 1, tzinfo=UTC)
    length = day.replace(hour=ends.hour, minute=ends.minute) - day.replace(
        hour=begins.hour, minute=begins.minute
    )
    if length % timedelta(days=1) < LEAST_LEFT and begins != ends:
        raise ValueError(f"{text!r} is shorter than {LEAST_LEFT.seconds // 60} minutes")
    return window


def read_zone(name: str) -> ZoneInfo:
    """Return the time zone of that name. Raises ``ValueError`` where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone") from error


def next_opening(window: Window | None, now: datetime) -> datetime:
    """Return the moment (UTC) at which it is open next: now, or when it opens.

    A window that is nearly over counts as closed.
    """
    if window is None:
        return now.astimezone(UTC)
    today = now.astimezone(window.zone).date()
    for days in range(-1, 9):
        day = today + timedelta(days=days)
        if day.weekday() not in window.days:
            continue
        begins = datetime.combine(day, window.begins, tzinfo=window.zone)
        last = day if window.ends > window.begins else day + timedelta(days=1)
        ends = datetime.combine(last, window.ends, tzinfo=window.zone)
        # Moments are compared in UTC: a zone's own clock is set back and forth.
        if now.astimezone(UTC) <= ends.astimezone(UTC) - LEAST_LEFT:
            return max(now.astimezone(UTC), begins.astimezone(UTC))
    raise ValueError("a window that opens on no day")
