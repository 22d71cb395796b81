"""Read a report as it is: what is absent, or not of the expected kind, is empty and never an error.

A report may be of another release than the page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


def part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object of a document; empty where there is none."""
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def parts(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list of a document."""
    return [one for one in values(document, name) if isinstance(one, Mapping)]


def values(document: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list of a document."""
    found = document.get(name)
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []


def text(document: Mapping[str, Any], name: str) -> str:
    """Return a value of a document as text; empty for one that is absent or null."""
    found = document.get(name)
    return "" if found is None else shown(found)


def shown(value: object) -> str:
    """Return a value as people read it: text as it stands, anything else as JSON."""
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def moment(value: object) -> datetime | None:
    """Read a moment (ISO 8601, with its zone); None for what is none."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def seconds(since: object, until: object) -> float | None:
    """Return the seconds between two moments; None where one is not known or they are reversed."""
    begin, end = moment(since), moment(until)
    if begin is None or end is None:
        return None
    lasted = (end - begin).total_seconds()
    return lasted if lasted >= 0 else None


def lasted(since: object, until: object) -> str:
    """Return the time between two moments for people, such as ``4 min 5 s``; empty if unknown."""
    found = seconds(since, until)
    if found is None:
        return ""
    whole = round(found)
    if whole < 1:
        return "under 1 s"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    named = [(hours, "h"), (minutes, "min"), (left, "s")]
    return " ".join(f"{number} {unit}" for number, unit in named if number)


def clock(value: object, first: object) -> str:
    """Return a moment as a time of day where it is of the same day (UTC) as the first."""
    day, _, time = at(value).partition(" ")
    return time.removesuffix(" UTC") if time and at(first).startswith(f"{day} ") else at(value)


def at(value: object) -> str:
    """Return a moment for people, in UTC to the second; what is none stays as it is."""
    found = moment(value)
    if found is None:
        return "" if value is None else str(value)
    offset = found.utcoffset()
    utc = found.replace(tzinfo=None) - offset if offset is not None else found
    return f"{utc:%Y-%m-%d %H:%M:%S} UTC"
