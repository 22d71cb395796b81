"""Parameters of lists: how many, from where, and which; a token is opaque to callers."""

from __future__ import annotations

import base64
import json
from dataclasses import astuple
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.validation import Problem, invalid
from lifecycle.operation.cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

DEFAULT: Final = 50
MOST: Final = 100
LONGEST: Final = 1024
_ALLOWED: Final = "the value of next in the page before, with the same parameters"


def read_limit(query: Mapping[str, str]) -> int:
    """Return how many lines a page may have. Raises ``InvalidRequest``."""
    given = query.get("limit")
    if given is None:
        return DEFAULT
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= MOST):
        raise invalid([Problem("limit", given, f"a number from 1 to {MOST}")])
    return int(given)


def read_one_of(query: Mapping[str, str], name: str, allowed: Collection[str]) -> str:
    """Return a parameter that is one of several words, empty without it."""
    given = query.get(name)
    if given is None:
        return ""
    if given not in allowed:
        raise invalid([Problem(name, given, f"one of {', '.join(allowed)}")])
    return given


def refuse_others(query: Mapping[str, str], allowed: Collection[str]) -> None:
    """Refuse parameters that a list does not have. Raises ``InvalidRequest``."""
    wrong = [
        Problem(name, query[name], f"no such parameter; there are {', '.join(allowed)}")
        for name in query
        if name not in allowed
    ]
    if wrong:
        raise invalid(wrong)


def token(*parts: str) -> str:
    """Return a token that ``read_token`` takes apart again."""
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(given: str | None, parts: int) -> tuple[str, ...] | None:
    """Return the parts of a token; None without one. Raises ``InvalidRequest``."""
    if given is None:
        return None
    text = given[:LONGEST]
    padded = text + "=" * (-len(text) % 4)
    try:
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        found = None
    if (
        not isinstance(found, list)
        or len(found) != parts
        or not all(isinstance(one, str) and one for one in found)
    ):
        raise invalid([Problem("next", given[:80], _ALLOWED)])
    return tuple(found)


def cursor_token(cursor: Cursor | None) -> str | None:
    """Return the token of a list of operations; None at its end."""
    return None if cursor is None else token(*astuple(cursor))


def read_cursor(given: str | None, cluster: str) -> Cursor | None:
    """Return where a list of operations goes on. Raises ``InvalidRequest``."""
    found = read_token(given, 4)
    if found is None:
        return None
    cursor = Cursor(*found)
    if cluster not in {"", cursor.cluster}:
        raise invalid([Problem("next", str(given)[:80], _ALLOWED)])
    return cursor
