"""Problems of a request: the field, what was given, what is allowed."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

# As many as the cluster template bootstraps at most.
MOST_BROKERS: Final = 30


MOST_PARTITIONS: Final = 200
MOST_PROBLEMS: Final = 50


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong field: its path, what was given and what is allowed."""

    field: str
    given: object
    allowed: str

    def __str__(self) -> str:
        return f"{_short(self.field)}: given {shown(self.given)}; allowed: {self.allowed}"


def shown(value: object) -> str:
    """Return a value in a message as JSON writes it: never more than 80 characters."""
    if value is None:
        return "nothing"
    try:
        return _short(json.dumps(value, ensure_ascii=False, default=str), 80)
    except (RecursionError, ValueError):
        return "a value that is nested too deeply, or a number with too many digits"


def _short(text: str, most: int = 200) -> str:
    # Half of a surrogate pair is no text: neither logs nor answers could be encoded.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= most else f"{text[: most - 3]}..."


def read_number(given: object, field: str, most: int, least: int = 1) -> tuple[int, list[Problem]]:
    """Read a whole number. JSON has one kind of number: 4.0 is 4."""
    number = int(given) if isinstance(given, float) and given.is_integer() else given
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        return 0, [Problem(field, given, f"a whole number from {least} to {most}")]
    return number, []


def _unknown_fields(
    raw: Mapping[str, object], known: tuple[str, ...], prefix: str = ""
) -> list[Problem]:
    unknown = [name for name in raw if name not in known]
    return [
        Problem(
            prefix + (str(name) or "(empty name)"),
            raw[name],
            # To look for a similar name costs, and no more than these are listed.
            f"no such field{_suggestion(str(name), known) if n < MOST_PROBLEMS else ''}",
        )
        for n, name in enumerate(unknown)
    ]


def invalid(problems: list[Problem]) -> InvalidRequest:
    """Return the error that names the problems, the first ``MOST_PROBLEMS`` of them."""
    named = problems[:MOST_PROBLEMS]
    listed = "; ".join(f"({n}) {problem}" for n, problem in enumerate(named, start=1))
    fields = "1 field is" if len(problems) == 1 else f"{len(problems)} fields are"
    more = f"; the first {MOST_PROBLEMS} are listed" if len(problems) > MOST_PROBLEMS else ""
    return InvalidRequest(
        f"{fields} wrong{more}: {listed}.",
        problems=tuple(
            {"field": _short(p.field), "given": shown(p.given), "allowed": p.allowed} for p in named
        ),
    )


def _suggestion(name: str, known: tuple[str, ...] | list[str]) -> str:
    name = name[:100]
    folded = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.7)
    return f" (did you mean {folded[close[0]]}?)" if close else ""
