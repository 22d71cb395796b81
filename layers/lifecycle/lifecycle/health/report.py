"""The report of a check: the same text in the API's response and a terminal."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.health.catalog import Severity
from lifecycle.health.verdict import Record, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

_LINES_MOST: Final = 5


def report(record: Record) -> dict[str, Any]:
    """Return the last check as JSON, findings worst first, with the text for people."""
    return {
        "cluster": record.cluster,
        "verdict": str(record.verdict),
        "checkedAt": stamp(record.checked_at),
        "since": stamp(record.since),
        "consecutive": record.consecutive,
        "notified": str(record.notified),
        "notifiedAt": stamp(record.notified_at) if record.notified_at else None,
        "findings": [dict(one) for one in record.findings],
        "seconds": record.seconds,
        "rehearsal": dict(record.rehearsal) if record.rehearsal is not None else None,
        "text": summary(record),
    }


def summary(record: Record) -> str:
    """Summarise a check in a few lines: what is wrong, since when, what to do first; notes last."""
    grave = [one for one in record.findings if one["severity"] != Severity.INFO]
    notes = [one for one in record.findings if one["severity"] == Severity.INFO]
    lines = [f"{record.cluster} is {record.verdict}{_since(record)}."]
    for one in grave[:_LINES_MOST]:
        lines.append(f"- {one['title']}: {one['seen']}. Do: {one['remedy']}")
    if len(grave) > _LINES_MOST:
        lines.append(f"- and {len(grave) - _LINES_MOST} more")
    lines += [f"- note: {_note(one)}" for one in notes[:_LINES_MOST]]
    lines += _recovery(record.rehearsal or {})
    return "\n".join(lines)


def age(since: datetime, at: datetime) -> str:
    """Return a duration in minutes, hours or days, whichever suits its length."""
    passed = max(at - since, timedelta())
    minutes = int(passed.total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def _recovery(rehearsal: Mapping[str, Any]) -> list[str]:
    measured = rehearsal.get("measured")
    if not measured:
        return []
    minutes, seconds = divmod(int(measured["seconds"]), 60)
    return [f"Recovery time: {minutes} min {seconds} s, rehearsed {str(measured['at'])[:10]}."]


def _since(record: Record) -> str:
    if record.consecutive == 1:
        return ""
    return f" for {age(record.since, record.checked_at)} ({record.consecutive} checks)"


def _note(one: Mapping[str, str]) -> str:
    explained_by = f" ({one['explainedBy']})" if one.get("explainedBy") else ""
    return f"{one['seen']}{explained_by}"
