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


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong field: its path, what was given and what is allowed."""

    field: str
    given: object
    allowed: str

    def __str__(self) -> str:
        return f"{self.field}: given {shown(self.given)}; allowed: {self.allowed}"


def shown(value: object) -> str:
    """Return a value in a message as JSON writes it: never more than 80 characters."""
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def read_number(given: object, field: str, most: int, least: int = 1) -> tuple[int, list[Problem]]:
    """Read a whole number. JSON has one kind of number: 4.0 is 4."""
    number = int(given) if isinstance(given, float) and given.is_integer() else given
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        return 0, [Problem(field, given, f"a whole number from {least} to {most}")]
    return number, []


def _unknown_fields(
    raw: Mapping[str, object], known: tuple[str, ...], prefix: str = ""
) -> list[Problem]:
    return [
        Problem(
            prefix + (str(name) or "(empty name)"),
            raw[name],
            f"no such field{_suggestion(str(name), known)}",
        )
        for name in raw
        if name not in known
    ]


def invalid(problems: list[Problem]) -> InvalidRequest:
    """Make the error that names every problem."""
    listed = "; ".join(f"({n}) {problem}" for n, problem in enumerate(problems, start=1))
    fields = "1 field is" if len(problems) == 1 else f"{len(problems)} fields are"
    return InvalidRequest(
        f"{fields} wrong: {listed}.",
        problems=tuple(
            {"field": p.field, "given": shown(p.given), "allowed": p.allowed} for p in problems
        ),
    )


def _suggestion(name: str, known: tuple[str, ...] | list[str]) -> str:
    folded = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.7)
    return f" (did you mean {folded[close[0]]}?)" if close else ""
