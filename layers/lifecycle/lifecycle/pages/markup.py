"""HTML as values: text is escaped where it enters, and only what was built here is markup."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# https://html.spec.whatwg.org/multipage/syntax.html#void-elements
_VOID: Final = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})
# Characters that XML 1.0 and HTML allow in no text; browsers show nothing, or another one.
# https://html.spec.whatwg.org/multipage/parsing.html#parse-error-control-character-in-input-stream
_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# They reverse or hide what follows: an id could read as another one.
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
_DIRECTION: Final = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


class Html(str):
    """Markup that was built here; any other ``str`` is text."""

    __slots__ = ()


type Child = str | int | float | Iterable[Child] | None


def text_of(value: object) -> str:
    """Return any value as text without what could not be shown, or would change its direction."""
    return _DIRECTION.sub("\ufffd", _NOT_TEXT.sub("\ufffd", str(value)))


def tag(name: str, /, *children: Child, **attributes: object) -> Html:
    """Return an element. Attributes: a trailing ``_`` is dropped, any other becomes a hyphen.

    An attribute that is None or False is left out; True stands without a value.
    """
    given = "".join(
        f" {key}" if value is True else f' {key}="{escape(text_of(value), quote=True)}"'
        for key, value in (
            (one.rstrip("_").replace("_", "-"), value) for one, value in attributes.items()
        )
        if value is not None and value is not False
    )
    inner = joined(children)
    return Html(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{inner}</{name}>")


def joined(children: Child) -> Html:
    """Return children one after the other; every text among them is escaped."""
    if children is None:
        return Html("")
    if isinstance(children, Html):
        return children
    if isinstance(children, str | int | float):
        return Html(escape(text_of(children), quote=True))
    return Html("".join(joined(child) for child in children))


def style_hash(style: str) -> str:
    """Return a style sheet's source for a Content Security Policy.

    https://www.w3.org/TR/CSP3/#match-element-to-source-list
    """
    digest = hashlib.sha256(style.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
