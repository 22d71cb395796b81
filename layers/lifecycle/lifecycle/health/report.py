"""The report of a check: the same text in messages, the API's response and a terminal."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.health.catalog import KINDS, Severity, Verdict
from lifecycle.health.verdict import Notification, Record, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_SUBJECT_MOST: Final = 99
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
    return "\n".join(lines)


def subject(record: Record, notification: Notification) -> str:
    """Return the first line of a message: cluster, verdict, worst finding; printable ASCII."""
    if notification.now is Verdict.HEALTHY:
        line = f"{record.cluster} is HEALTHY again (it was {notification.before})"
    else:
        line = f"{record.cluster} is {notification.now}"
        # What stops serving is reported first, also where an operation explains it.
        first = next((one for one in record.findings if _is_grave(one)), None)
        line += f": {first['title']}" if first is not None else ""
    plain = line.encode("ascii", "replace").decode()
    return plain if len(plain) <= _SUBJECT_MOST else f"{plain[: _SUBJECT_MOST - 3]}..."


def message(record: Record, notification: Notification, control_stack: str) -> str:
    """Return the text of a message, short enough for a phone."""
    lines = [summary(record)]
    if notification.now is not record.verdict:
        lines[0] = f"Notification: {notification.now}. " + lines[0]
    codes = _codes(record.findings)
    if codes:
        lines.append(f"Runbook: docs/runbook.md, {', '.join(codes[:_LINES_MOST])}")
    lines.append(f"Stack {control_stack}-{record.cluster}, checked {stamp(record.checked_at)}.")
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


def _since(record: Record) -> str:
    if record.consecutive == 1:
        return ""
    return f" for {age(record.since, record.checked_at)} ({record.consecutive} checks)"


def _note(one: Mapping[str, str]) -> str:
    explained_by = f" ({one['explainedBy']})" if one.get("explainedBy") else ""
    return f"{one['seen']}{explained_by}"


def _is_grave(one: Mapping[str, str]) -> bool:
    kind = KINDS.get(one["code"])
    serves = kind is None or kind.severity is not Severity.DOWN
    return one["severity"] != Severity.INFO or not serves


def _codes(found: Sequence[Mapping[str, str]]) -> list[str]:
    return [one["code"] for one in found if one["severity"] != Severity.INFO]
