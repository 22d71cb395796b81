"""Write the retry policies of ``statemachines/retries.yaml`` into the definitions.

A comment ``# Policy <name>`` above ``Retry`` selects the policy written below it. Run by
``make generate``; a test refuses drift.

Source of the fields: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).resolve().parent.parent / "statemachines"
SOURCE: Final = FOLDER / "retries.yaml"
_WIDTH: Final = 100
_WRITTEN: Final = re.compile(
    r"^(?P<indent> *)# Policy (?P<name>\S+)\n(?P=indent)Retry:\n(?:(?P=indent) +\S.*\n)*",
    re.MULTILINE,
)

type Policy = Sequence[Mapping[str, Any]]


def definitions() -> Sequence[Path]:
    """Give the definitions of all machines."""
    return sorted(FOLDER.glob("*.asl.yaml"))


def policies() -> Mapping[str, Policy]:
    """Give each policy by its name, as the field ``Retry`` of a task; pauses are in seconds."""
    given = yaml.safe_load(SOURCE.read_text())
    return {
        name: [given["retriers"][one] for one in named] for name, named in given["policies"].items()
    }


def render(text: str) -> str:
    """Write its policy below each mark of a definition.

    Raises ``KeyError`` for an unknown policy.
    """
    known = policies()

    def written(mark: re.Match[str]) -> str:
        indent = mark["indent"]
        lines = [f"{indent}# Policy {mark['name']}", f"{indent}Retry:"]
        for retrier in known[mark["name"]]:
            lines += _retrier(retrier, f"{indent}  ")
        return "\n".join(lines) + "\n"

    return _WRITTEN.sub(written, text)


def _retrier(retrier: Mapping[str, Any], indent: str) -> list[str]:
    errors, *others = retrier.items()
    name, names = errors
    return [
        *textwrap.wrap(
            f"- {name}: [{', '.join(names)}]",
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
            break_long_words=False,
            break_on_hyphens=False,
        ),
        *(f"{indent}  {key}: {value}" for key, value in others),
    ]


if __name__ == "__main__":
    for path in definitions():
        path.write_text(render(path.read_text()))
