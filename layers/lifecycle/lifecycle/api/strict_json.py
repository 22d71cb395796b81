"""JSON as RFC 8259 defines it, and no more than a request needs.

Python's parser takes more: other encodings, NaN, numbers beyond a double's range, a name twice in
one object, of which it keeps the last. Source: https://www.rfc-editor.org/rfc/rfc8259
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

DEEPEST: Final = 16
"""Levels of nesting: the deepest documented body has six."""
_LONGEST_NUMBER: Final = 100


class NotJson(ValueError):
    """The text is not accepted; the message is what is allowed."""


def parse(data: bytes) -> Any:
    """Return the value of a JSON text in UTF-8. Raises ``NotJson``."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NotJson("JSON in UTF-8") from None
    _refuse_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except NotJson:
        raise
    except ValueError:
        raise NotJson("a JSON object") from None
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise NotJson("text without half of a surrogate pair") from None
    return value


def _refuse_depth(text: str) -> None:
    """Count brackets outside of strings, before the parser recurses into them."""
    depth, within, escaped = 0, False, False
    for character in text:
        if within:
            within = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            within = True
        elif character in "[{":
            depth += 1
            if depth > DEEPEST:
                raise NotJson(f"at most {DEEPEST} levels of nesting")
        elif character in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NotJson(f"each name once in an object: {name[:40]!r} is repeated")
        found[name] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise NotJson(f"numbers of at most {_LONGEST_NUMBER} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits) if len(digits) <= _LONGEST_NUMBER else math.inf
    if not math.isfinite(number):
        raise NotJson(f"finite numbers of at most {_LONGEST_NUMBER} digits")
    return number


def _constant(name: str) -> Any:
    raise NotJson(f"JSON, which has no {name}")
