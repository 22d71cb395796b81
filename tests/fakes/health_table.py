"""In-memory fake of the health items, with the same condition as the conditional write."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.health.verdict import as_document, read_document

if TYPE_CHECKING:
    from datetime import datetime

    from lifecycle.cluster.freeze import Freeze
    from lifecycle.health.verdict import Record
    from lifecycle.operation.model import Lock
    from lifecycle.operation.rehearsal_note import RehearsalNote
    from lifecycle.operation.scaling_note import ScalingNote


@dataclass
class FakeHealth:
    """Documents by cluster; ``locks`` and ``scalings`` are those of the table's fake."""

    locks: dict[str, Lock]
    scalings: dict[str, ScalingNote] = field(default_factory=dict)
    rehearsals: dict[str, RehearsalNote] = field(default_factory=dict)
    freezes: dict[str, Freeze] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)

    def find(self, cluster: str) -> Record | None:
        """Read the last check of a cluster."""
        return read_document(self.documents[cluster]) if cluster in self.documents else None

    def write(self, record: Record, before: Record | None) -> bool:
        """Write a check if the last one is still ``before``."""
        last = self.find(record.cluster)
        known = before.checked_at if before else None
        if (last.checked_at if last else None) != known:
            return False
        if known is not None and record.checked_at <= known:
            return False
        self.documents[record.cluster] = as_document(record)
        return True

    def delivered(self, cluster: str, decided_at: datetime) -> None:
        """Note that the announcement decided then was delivered."""
        record = self.find(cluster)
        if record is not None and record.undelivered == decided_at:
            self.documents[cluster] = as_document(replace(record, undelivered=None))

    def frozen(self, ecs_cluster: str) -> Freeze | None:
        """The freeze of the ECS cluster."""
        return self.freezes.get(ecs_cluster)

    def holder(self, ecs_cluster: str) -> Lock | None:
        """Who holds the ECS cluster."""
        return self.locks.get(ecs_cluster)

    def rehearsal(self, cluster: str) -> RehearsalNote | None:
        """What the last rehearsal of the cluster left."""
        return self.rehearsals.get(cluster)

    def scaling(self, cluster: str) -> ScalingNote | None:
        """What the last scaling of the cluster left."""
        return self.scalings.get(cluster)
