"""In-memory twin of the table, with the same conditions as the conditional writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifecycle.core.operation import Lock, Operation


@dataclass
class MemoryTable:
    """``Locks`` and ``Operations`` in dictionaries, open to tests."""

    locks: dict[str, Lock] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, lock: Lock, *, now: int, instead_of: Lock | None = None) -> Lock | None:
        """Take or extend a lock."""
        del now
        held = self.locks.get(lock.cluster)
        if held is None or held.owner == lock.owner or held == instead_of:
            self.locks[lock.cluster] = lock
            return None
        return held

    def release(self, cluster: str, owner: str) -> bool:
        """Give the lock back if ``owner`` holds it."""
        held = self.locks.get(cluster)
        if held is None or held.owner != owner:
            return False
        del self.locks[cluster]
        return True

    def begin(self, operation: Operation, *, now: datetime) -> None:
        """Write the operation's item once."""
        del now
        self.records.setdefault(
            operation.operation_id, {"operation": operation, "timeline": [], "step": None}
        )

    def progress(self, operation: Operation, *, step: str, detail: str, now: datetime) -> None:
        """Say where the operation is."""
        record = self.records.setdefault(
            operation.operation_id, {"operation": operation, "timeline": [], "step": None}
        )
        if record["step"] != step:
            record["timeline"].append({"step": step, "at": now.isoformat(timespec="seconds")})
        record.update(step=step, detail=detail)

    def timeline(self, operation: Operation) -> list[dict[str, str]]:
        """Steps so far."""
        return list(self.records.get(operation.operation_id, {}).get("timeline", []))

    def end(self, operation: Operation, *, result: str, report_key: str, now: datetime) -> None:
        """Note the result."""
        self.records.setdefault(operation.operation_id, {"timeline": []}).update(
            result=result, reportKey=report_key, endedAt=now.isoformat(timespec="seconds")
        )
