"""Where a list of operations goes on: after which one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last operation of a page, by what its record is sorted and named by."""

    started_at: str
    cluster: str
    machine: str
    operation_id: str
