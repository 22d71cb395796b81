"""Write retry policies and causes of Fail states, each kept in one file, into the definitions.

A comment ``# Policy <name>`` above ``Retry`` selects the policy of ``statemachines/retries.yaml``
written below it, ``# Cause <name>`` above ``Cause`` the cause of ``statemachines/causes.yaml``. Run
by ``make generate``; a test refuses drift.

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
CAUSES: Final = FOLDER / "causes.yaml"
_WIDTH: Final = 100
_WRITTEN: Final = re.compile(
    r"^(?P<indent> *)# Policy (?P<name>\S+)\n(?P=indent)Retry:\n(?:(?P=indent) +\S.*\n)*",
    re.MULTILINE,
)
_CAUSE: Final = re.compile(
    r"^(?P<indent> *)# Cause (?P<name>\S+)\n(?P=indent)Cause: .*\n(?:(?P=indent) +\S.*\n)*",
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


def causes() -> Mapping[str, str]:
    """Give each cause by its name, as the JSONata expression of a Fail state's ``Cause``."""
    given = yaml.safe_load(CAUSES.read_text())
    expressions = {}
    for name, texts in given["causes"].items():
        expression = given["expression"]
        for field, text in texts.items():
            expression = expression.replace(f"<{field}>", text)
        expressions[name] = expression
    return expressions


def render(text: str) -> str:
    """Write its policy or cause below each mark of a definition.

    Raises ``KeyError`` for an unknown policy or cause.
    """
    known, expressions = policies(), causes()

    def written(mark: re.Match[str]) -> str:
        indent = mark["indent"]
        lines = [f"{indent}# Policy {mark['name']}", f"{indent}Retry:"]
        for retrier in known[mark["name"]]:
            lines += _retrier(retrier, f"{indent}  ")
        return "\n".join(lines) + "\n"

    def explained(mark: re.Match[str]) -> str:
        indent = mark["indent"]
        value = expressions[mark["name"]].replace("'", "''")
        return f"{indent}# Cause {mark['name']}\n{indent}Cause: '{{% {value} %}}'\n"

    return _CAUSE.sub(explained, _WRITTEN.sub(written, text))


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
