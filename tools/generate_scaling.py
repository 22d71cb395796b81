"""Write the tables of ``docs/scaling.md`` from the code.

Run by ``make generate``; a test refuses drift.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.scaling import partition_table
from lifecycle.scaling.preconditions import PRECONDITIONS
from lifecycle.scaling.table import TABLE, Count, Members, Row, possible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

TARGET = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"


def decisions() -> str:
    """Table of what was observed, and what is done then."""
    rows = [
        "| change under way | brokers | desired count | what is done | because |",
        "|---|---|---|---|---|",
    ]
    for row in TABLE:
        members = _listed([m for m in Members if m in row.members], _all_members(row))
        counts = _listed([c for c in Count if c in row.counts], _all_counts(row))
        rows.append(f"| {row.change} | {members} | {counts} | **{row.step}** | {row.why} |")
    return "\n".join(rows)


def partition_decisions() -> str:
    """Table of what was observed, and what is done then, where partitions are added."""
    rows = [
        "| change under way | partitions | desired count | what is done | because |",
        "|---|---|---|---|---|",
    ]
    for row in partition_table.TABLE:
        held = [p for p in partition_table.Partitions if p in row.partitions]
        there = [
            p
            for p in partition_table.Partitions
            if any(partition_table.possible(row.change, p, c) for c in partition_table.Count)
        ]
        counts = [c for c in partition_table.Count if c in row.counts]
        rows.append(
            f"| {row.change} | {_listed(held, there)} | "
            f"{_listed(counts, list(partition_table.Count))} | **{row.step}** | {row.why} |"
        )
    return "\n".join(rows)


def preconditions() -> str:
    """Table of what must be true before a change begins."""
    rows = ["| check | what must be true | if it is not |", "|---|---|---|"]
    rows += [f"| {one.name} | {one.demand} | {one.remedy} |" for one in PRECONDITIONS]
    return "\n".join(rows)


def _all_members(row: Row) -> list[Members]:
    return [m for m in Members if any(possible(row.change, m, c) for c in Count)]


def _all_counts(row: Row) -> list[Count]:
    return [c for c in Count if any(possible(row.change, m, c) for m in row.members)]


def _listed(named: Sequence[StrEnum], everything: Sequence[StrEnum]) -> str:
    there = [one for one in named if one in everything]
    return "any" if there == everything and len(there) > 1 else " / ".join(there)


def render(text: str) -> str:
    """Put the tables between their marks."""
    for name, table in (
        ("decisions", decisions()),
        ("partition decisions", partition_decisions()),
        ("preconditions", preconditions()),
    ):
        marks = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        marked = table.replace("\\", r"\\")
        text, count = re.subn(marks, rf"\g<1>{marked}\n\g<2>", text, flags=re.DOTALL)
        if count != 1:
            message = f"{TARGET}: the marks of {name} are there {count} times"
            raise ValueError(message)
    return text


if __name__ == "__main__":
    TARGET.write_text(render(TARGET.read_text()))
