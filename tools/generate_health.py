"""Write the tables of ``docs/health.md`` from the code.

Run by ``make generate``; a test refuses drift.
"""

from __future__ import annotations

import re
from pathlib import Path

from lifecycle.health.catalog import KINDS
from lifecycle.health.rules import EXPLAINED

TARGET = Path(__file__).resolve().parent.parent / "docs" / "health.md"


def findings() -> str:
    """Table of all findings."""
    rows = ["| code | severity | how it should be | first step |", "|---|---|---|---|"]
    for kind in KINDS.values():
        link = f"[`{kind.code}`](runbook.md#{kind.code.lower()})"
        cells = (link, kind.severity, kind.expected, kind.remedy)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def explained() -> str:
    """Table of the findings that an operation downgrades to notes while it holds the lock."""
    rows = ["| operation | findings downgraded to notes |", "|---|---|"]
    for machine, codes in EXPLAINED.items():
        told = "everything" if codes == frozenset(KINDS) else ", ".join(sorted(codes))
        rows.append(f"| `{machine}` | {told} |")
    return "\n".join(rows)


def render(text: str) -> str:
    """Put the tables between their marks."""
    for name, table in (("findings", findings()), ("explained", explained())):
        marks = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        marked = table.replace("\\", r"\\")
        text, count = re.subn(marks, rf"\g<1>{marked}\n\g<2>", text, flags=re.DOTALL)
        if count != 1:
            message = f"{TARGET}: the marks of {name} are there {count} times"
            raise ValueError(message)
    return text


if __name__ == "__main__":
    TARGET.write_text(render(TARGET.read_text()))
