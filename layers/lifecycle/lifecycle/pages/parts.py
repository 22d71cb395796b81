"""The parts that pages are made of: facts, tables, notes, checks, costs, commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lifecycle.pages.markup import Child, Html, joined, tag
from lifecycle.pages.read import part, parts, shown, text, values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TONES: Final[Mapping[str, str]] = {
    "SUCCEEDED": "good",
    "PASS": "good",
    "READY": "good",
    "HEALTHY": "good",
    "PARTIAL": "warn",
    "WARN": "warn",
    "DEGRADED": "warn",
    "ABORTED": "warn",
    "FAILED": "bad",
    "TIMED_OUT": "bad",
    "FAIL": "bad",
    "REFUSED": "bad",
    "DOWN": "bad",
    "remove": "bad",
    "replace": "bad",
    "may replace": "warn",
    "refused": "bad",
    "replace tasks": "warn",
}


_PLAIN: Final[Mapping[int, str]] = {}
_AMOUNTS: Final[Mapping[int, str]] = {1: "number", 2: "number"}


def chip(word: str) -> Html:
    """Return a result or an action as a mark, whose word carries what its colour repeats."""
    return tag("span", word, class_=f"chip {_TONES.get(word, 'info')}")


def code(value: object) -> Html:
    """Return an identifier, a key or a value."""
    return tag("code", str(value))


def section(title: str, *content: Child) -> Html:
    """Return a part of the page with its heading; nothing where it has no content."""
    inner = joined(content)
    return tag("section", tag("h2", title), inner) if inner else Html("")


def facts(*pairs: tuple[str, Child]) -> Html:
    """Return names and values; pairs without a value are left out."""
    known = [(name, joined(value)) for name, value in pairs]
    rows = [(tag("dt", name), tag("dd", value)) for name, value in known if value]
    return tag("dl", rows) if rows else Html("")


def table(
    label: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[Child]],
    *,
    kinds: Mapping[int, str] = _PLAIN,
) -> Html:
    """Return a table that scrolls for itself, also by keyboard; nothing where it has no rows.

    ``label`` names it; the first cell of each row is its heading; ``kinds`` are classes by column.
    """
    lines = [
        tag("tr", [_cell(column, one, kinds.get(column)) for column, one in enumerate(row)])
        for row in rows
    ]
    if not lines:
        return Html("")
    head = [
        tag("th", one, scope="col", class_=kinds.get(column)) for column, one in enumerate(heads)
    ]
    inner = tag(
        "table",
        tag("caption", label, class_="hidden"),
        tag("thead", tag("tr", head)),
        tag("tbody", lines),
        class_="wide" if len(heads) - ("lapse" in kinds.values()) > 3 else None,
    )
    return scrolled(label, inner)


def scrolled(label: str, content: Child) -> Html:
    """Return content that may be wider than the screen."""
    return tag("div", content, class_="scroll", role="region", tabindex="0", aria_label=label)


def _cell(column: int, value: Child, kind: str | None) -> Html:
    if column == 0:
        return tag("th", value, scope="row", class_=kind)
    return tag("td", value, class_=kind)


def bullets(items: Iterable[Child]) -> Html:
    """Return a list; nothing where there is no item."""
    lines = [tag("li", one) for one in items]
    return tag("ul", lines) if lines else Html("")


def steps(items: Iterable[Child]) -> Html:
    """Return a numbered list; nothing where there is no item."""
    lines = [tag("li", one) for one in items]
    return tag("ol", lines) if lines else Html("")


def note(tone: str, *content: Child) -> Html:
    """Return what stands out. ``tone``: one of ``TONES`` in ``look``."""
    return tag("div", content, class_=f"note {tone}")


def folded(title: str, content: Child) -> Html:
    """Return what is shown on request; nothing where there is no content."""
    inner = joined(content)
    return tag("details", tag("summary", title), inner) if inner else Html("")


def tiles(*pairs: tuple[str, Child]) -> Html:
    """Return few figures that stand out; pairs without a value are left out."""
    known = [(name, joined(value)) for name, value in pairs]
    lines = [
        tag("li", tag("span", value, class_="value"), tag("span", name, class_="name"))
        for name, value in known
        if value
    ]
    return tag("ul", lines, class_="tiles") if lines else Html("")


def paragraph(*content: Child) -> Html:
    """Return a paragraph; nothing where it is empty."""
    inner = joined(content)
    return tag("p", inner) if inner else Html("")


def command(value: str) -> Html:
    """Return what is typed or sent as it stands."""
    return tag("pre", tag("code", value))


def as_json(value: object) -> str:
    """Return a value as JSON on one line, as it is sent."""
    return json.dumps(value, ensure_ascii=False, default=str)


def checks(label: str, found: Sequence[Mapping[str, Any]]) -> Html:
    """Return checks: those that need attention at first, those that passed on request."""
    notable = [one for one in found if text(one, "result") != "PASS"]
    passed = [one for one in found if text(one, "result") == "PASS"]
    heads = ("Check", "Result", "Seen", "Remedy")

    def rows(some: Sequence[Mapping[str, Any]]) -> list[tuple[Child, ...]]:
        return [
            (
                text(one, "name"),
                chip(text(one, "result") or "unknown"),
                text(one, "seen"),
                text(one, "remedy"),
            )
            for one in some
        ]

    if not found:
        return Html("")
    return joined(
        (
            paragraph(f"{len(passed)} of {len(found)} checks passed."),
            table(f"{label} that need attention", heads, rows(notable)),
            folded(
                f"Checks that passed ({len(passed)})",
                table(f"{label} that passed", heads, rows(passed)),
            ),
        )
    )


def changed(before: object, after: object) -> Html:
    """Return a value before and after."""
    return joined((code(shown(before)), " → ", code(shown(after))))


def money(cost: Mapping[str, Any]) -> str:
    """Return the total of a cost with its currency; in words where there is no sum."""
    total = cost.get("total")
    return "not known" if total is None else f"{shown(total)} {text(cost, 'currency')}".strip()


def costs(cost: Mapping[str, Any]) -> Html:
    """Return the monthly cost before and after, item by item."""
    before, after = part(cost, "before"), part(cost, "after")
    if not before and not after:
        return Html("")
    names = list(dict.fromkeys((*part(before, "items"), *part(after, "items"))))
    rows = [
        (name, *(text(part(one, "items"), name) or "0.00" for one in (before, after)))
        for name in names
    ]
    rows.append(("Total per month", money(before), money(after)))
    missing = dict.fromkeys(
        shown(one) for which in (before, after) for one in values(which, "missing")
    )
    as_of, excluded = text(after, "asOf"), text(cost, "notIncluded")
    return joined(
        (
            table("Fixed cost per month", ("Item", "Before", "After"), rows, kinds=_AMOUNTS),
            bullets(missing),
            paragraph(f"List prices of {as_of}." if as_of else None),
            paragraph(f"Not included: {excluded}." if excluded else None),
        )
    )


def differences(label: str, found: Sequence[Mapping[str, Any]], name: str = "name") -> Html:
    """Return what changes its value: lines with ``from`` and ``to``, called by ``name``."""
    return table(
        label,
        ("Name", "Before", "After"),
        [
            (code(text(one, name)), code(shown(one.get("from"))), code(shown(one.get("to"))))
            for one in found
        ],
    )


def flat(document: Mapping[str, Any], *names: str) -> list[tuple[str, str]]:
    """Return the values of nested objects by dotted names; what is empty or null is left out."""
    found: list[tuple[str, str]] = []
    for name, value in document.items():
        path = (*names, str(name))
        if value is None or value in ("", [], {}):
            continue
        if hasattr(value, "items"):
            found += flat(value, *path)
        else:
            found.append((".".join(path), shown(value)))
    return found


def checks_of(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the checks of a part of a report."""
    return parts(part(document, name), "checks")
