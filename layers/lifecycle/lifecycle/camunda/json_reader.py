"""Strict access to JSON that came from somewhere else: what is not as it should be is an error."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from datetime import UTC, datetime

from lifecycle.errors import InvalidResponse


def mapping(value: object, where: str) -> Mapping[str, object]:
    """Read an object. Raises ``InvalidResponse``."""
    if not isinstance(value, Mapping):
        raise InvalidResponse(f"{where} should be an object but is {short(value)}.")
    return value


def items(value: object, where: str) -> list[object]:
    """Read a list. Raises ``InvalidResponse``."""
    if not isinstance(value, list):
        raise InvalidResponse(f"{where} should be a list but is {short(value)}.")
    return value


def objects(value: object, where: str) -> list[Mapping[str, object]]:
    """Read a list of objects. Raises ``InvalidResponse``."""
    return [mapping(item, f"{where}[{index}]") for index, item in enumerate(items(value, where))]


def text(record: Mapping[str, object], key: str) -> str:
    """Read a text that must be there. Raises ``InvalidResponse``."""
    value = record.get(key)
    if not isinstance(value, str):
        raise InvalidResponse(f"{key} should be a text but is {short(value)}.")
    return value


def optional_text(record: Mapping[str, object], key: str) -> str | None:
    """Read a text; None for whatever else is there."""
    value = record.get(key)
    return value if isinstance(value, str) else None


def integer(record: Mapping[str, object], key: str) -> int:
    """Read a whole number, also one printed as text. Raises ``InvalidResponse``."""
    return integer_at(record.get(key), key)


def integer_at(value: object, where: str) -> int:
    """Read a whole number, also one printed as text. Raises ``InvalidResponse``."""
    found = number(value)
    if found is None:
        raise InvalidResponse(f"{where} should be a whole number but is {short(value)}.")
    return found


def number(value: object) -> int | None:
    """Read a whole number, also one printed as text, as 64-bit ids are; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isdecimal():
        return int(value)
    return None


def flag(record: Mapping[str, object], key: str) -> bool:
    """Read true or false. Raises ``InvalidResponse``."""
    value = record.get(key)
    if not isinstance(value, bool):
        raise InvalidResponse(f"{key} should be true or false but is {short(value)}.")
    return value


def moment(record: Mapping[str, object], key: str) -> datetime | None:
    """Read a moment: ISO 8601, or milliseconds since 1970; None for null.

    Raises ``InvalidResponse``.
    """
    value = record.get(key)
    if value is None:
        return None
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidResponse(f"{key} is no moment: {short(value)}.") from error
    raise InvalidResponse(f"{key} should be a moment but is {short(value)}.")


def short(value: object) -> str:
    """Print a value, bounded in depth and length, whatever came."""
    return reprlib.repr(value)[:80]
