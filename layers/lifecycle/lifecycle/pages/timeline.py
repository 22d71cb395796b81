"""The steps of an operation over time, each with what it waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.pages.markup import Html, joined, tag
from lifecycle.pages.parts import table
from lifecycle.pages.read import clock, lasted, parts, seconds, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class _Lapse:
    """A step from ``since`` to ``until`` (ISO 8601); ``ended`` is false for where it stopped."""

    step: str
    since: str
    until: str
    waits: Sequence[Mapping[str, Any]]
    ended: bool


def timeline(report: Mapping[str, Any]) -> Html:
    """Return the steps of a report with their share of the operation's time; nothing for none."""
    lapses = _lapses(report)
    whole = (text(report, "startedAt"), text(report, "endedAt"))
    return table(
        "Steps",
        ("Step", "Began", "Lasted", "Share of the time"),
        [
            (
                joined((one.step, _waits(one))),
                clock(one.since, whole[0]),
                lasted(one.since, one.until) or "not known",
                _bar(one, *whole),
            )
            for one in lapses
        ],
        kinds={1: "time", 2: "time", 3: "lapse"},
    )


def _lapses(report: Mapping[str, Any]) -> list[_Lapse]:
    entries = parts(report, "timeline")
    end = text(report, "endedAt")
    ok = text(report, "result") == "SUCCEEDED"
    return [
        _Lapse(
            step=text(entry, "step") or "a step without a name",
            since=text(entry, "at"),
            until=until,
            waits=parts(entry, "waits"),
            ended=ok or n < len(entries) - 1,
        )
        for n, (entry, until) in enumerate(_until_next(entries, end))
    ]


def _until_next(
    entries: Sequence[Mapping[str, Any]], end: str
) -> list[tuple[Mapping[str, Any], str]]:
    """Return entries with the moment of the next one, the last with the end."""
    ends = [*(text(one, "at") for one in entries[1:]), end]
    return list(zip(entries, ends, strict=False))


def _waits(lapse: _Lapse) -> Html:
    """What was waited for: each until the next one, the last until the step ended."""
    lines = []
    for wait, until in _until_next(lapse.waits, lapse.until):
        duration = lasted(text(wait, "at"), until)
        lines.append(tag("li", text(wait, "detail"), f" ({duration})" if duration else None))
    return tag("ul", lines, class_="waits") if lines else Html("")


def _bar(lapse: _Lapse, began: str, ended: str) -> Html | str:
    whole, left = seconds(began, ended), seconds(began, lapse.since)
    length = seconds(lapse.since, lapse.until)
    if not whole or left is None or length is None:
        return ""
    begin, width = min(100.0, 100 * left / whole), 100 * length / whole
    width = max(0.0, min(width, 100 - begin))
    words = f"{round(width)} % of the operation's time, from {round(begin)} % on"
    return tag(
        "svg",
        tag("title", words),
        tag("rect", x="0", y="0", width="100", height="10", class_="track"),
        tag(
            "rect",
            # A step that took no time is seen all the same.
            x=f"{min(begin, 99.0):.2f}",
            y="0",
            width=f"{max(1.0, width):.2f}",
            height="10",
            class_="bar" if lapse.ended else "bar stopped",
        ),
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        role="img",
        aria_label=words,
    )
