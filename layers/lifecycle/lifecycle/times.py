"""How moments are written down: one format for the table, reports, events and the API."""

from __future__ import annotations

from datetime import UTC, datetime


def written(at: datetime) -> str:
    """Write a moment as Step Functions writes its own, ``2026-01-01T00:00:00.000Z``.

    UTC, to the millisecond, so that moments of all writers sort and subtract.
    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
    """
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch(at: datetime) -> int:
    """Return a moment in seconds since 1970, rounded down."""
    return int(at.timestamp())
