"""Choose the media type of an answer by the Accept header: RFC 9110, section 12.5.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import NotAcceptable

if TYPE_CHECKING:
    from collections.abc import Sequence


def chosen(accept: str | None, offered: Sequence[str]) -> str:
    """Return the offered type with the highest weight, of several the first.

    Without a header it is the first of all. The most specific range that matches a type gives its
    weight, 1 where none is written; a weight that is no number is 0. Raises ``NotAcceptable``.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [_range(one) for one in accept.split(",") if one.strip()]
    weights = {one: _weight(one, ranges) for one in offered}
    best = max(offered, key=lambda one: weights[one])
    if weights[best] <= 0:
        raise NotAcceptable(
            f"Accept is {accept[:80]!r}; this resource exists as {', '.join(offered)}."
        )
    return best


def _range(text: str) -> tuple[str, float]:
    kind, *parameters = (part.strip().lower() for part in text.split(";"))
    for one in parameters:
        name, _, value = one.partition("=")
        if name.strip() == "q":
            try:
                return kind, float(value)
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def _weight(offered: str, ranges: Sequence[tuple[str, float]]) -> float:
    for candidate in (offered, f"{offered.partition('/')[0]}/*", "*/*"):
        found = [weight for kind, weight in ranges if kind == candidate]
        if found:
            return max(found)
    return 0.0
