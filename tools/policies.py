"""Hold what parliament and cloudsplaining find in our IAM policies against the reasons for it.

Analysed are the deployer's policies, docs/policies and every role of the control plane, with the
values that a deployment has. Each finding needs a row in the table of SECURITY.md, and each row a
finding.

make policies
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support.planes import plane

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
PYTHON: Final = ROOT / ".venv-policies" / "bin" / "python"
HEADING: Final = "## Findings in the policies"
_ACTION: Final = re.compile(r"\b[a-z0-9-]+:[A-Z][A-Za-z0-9]+\b")
_ROW: Final = 4


@dataclass(frozen=True, order=True)
class Finding:
    """One action of one policy, as an analyser reports it."""

    kind: str
    policy: str
    action: str


@dataclass(frozen=True)
class Reason:
    """A row of the table: which findings it explains, by patterns, and why they stay."""

    kind: str
    policies: tuple[str, ...]
    actions: tuple[str, ...]
    text: str

    def explains(self, finding: Finding) -> bool:
        """Whether the row is about this finding."""
        return (
            self.kind == finding.kind
            and any(fnmatchcase(finding.policy, one) for one in self.policies)
            and any(fnmatchcase(finding.action, one) for one in self.actions)
        )


def documents() -> dict[str, Any]:
    """Every policy that is analysed, by the name of its role or file."""
    own = plane("camunda-lifecycle")
    roles = {
        name: {"Version": "2012-10-17", "Statement": list(role.statements())}
        for name, role in own.roles().items()
    }
    files = [*(ROOT / "docs").glob("*-policy.json"), *(ROOT / "docs" / "policies").glob("*.json")]
    return roles | {path.name: json.loads(path.read_text()) for path in files}


def findings(reported: Iterable[Mapping[str, str]]) -> list[Finding]:
    """Split what is reported into one finding for each action; ``-`` where none is named."""
    return sorted(
        {
            Finding(f"{one['tool']}: {one['finding']}", one["policy"], action)
            for one in reported
            for action in _actions(one["detail"]) or ["-"]
        }
    )


def _actions(detail: str) -> list[str]:
    try:
        listed = ast.literal_eval(detail)
    except (SyntaxError, ValueError):
        return _ACTION.findall(detail)[-1:]
    return [one["action"] if isinstance(one, dict) else str(one) for one in listed]


def reasons(text: str) -> list[Reason]:
    """Read the table of SECURITY.md; raises ValueError for a row that is none."""
    _, found, rest = text.partition(HEADING)
    if not found:
        raise ValueError(f"SECURITY.md has no heading {HEADING!r}")
    rows = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")]
    table = []
    for row in rows[2:]:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) != _ROW or not all(cells):
            raise ValueError(f"four cells are needed: {row}")
        policies, actions = (tuple(re.findall(r"`([^`]+)`", cell)) for cell in cells[1:3])
        table.append(Reason(cells[0].strip("`"), policies, actions, cells[3]))
    return table


def problems(found: Sequence[Finding], table: Sequence[Reason]) -> list[str]:
    """What is found and not explained, and what is explained and not found."""
    silent = [one for one in found if not any(row.explains(one) for row in table)]
    idle = [row for row in table if not any(row.explains(one) for one in found)]
    return [
        *(f"no reason: {one.kind} | {one.policy} | {one.action}" for one in silent),
        *(f"no finding: {row.kind} | {row.policies} | {row.actions}" for row in idle),
    ]


def main() -> int:
    """Print what does not match; exit status 1 if there is something."""
    done = subprocess.run(  # noqa: S603 - our own script
        [str(PYTHON), str(ROOT / "tools" / "policy_scan.py")],
        input=json.dumps(documents()),
        capture_output=True,
        text=True,
        check=True,
    )
    found = findings(json.loads(done.stdout))
    told = problems(found, reasons((ROOT / "SECURITY.md").read_text()))
    print("\n".join(told) or f"{len(found)} findings in the policies, each with its reason")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
