"""In-memory fake of the table, with the same conditions as the conditional writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lifecycle.operation.record import LONGEST_WAIT, MOST_WAITS, Record, Stored
from lifecycle.operation.rehearsal_note import read_note
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from lifecycle.cluster.freeze import Freeze
    from lifecycle.operation.cursor import Cursor
    from lifecycle.operation.model import Acting, Lock, Operation
    from lifecycle.operation.record import Stage
    from lifecycle.operation.rehearsal_note import RehearsalNote
    from lifecycle.operation.scaling_note import ScalingNote


@dataclass
class FakeTable:
    """``Locks``, ``Operations`` and ``Records`` in dictionaries, open to tests."""

    locks: dict[str, Lock] = field(default_factory=dict)
    records: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    health: dict[str, dict[str, Any]] = field(default_factory=dict)
    scalings: dict[str, ScalingNote] = field(default_factory=dict)
    rehearsals: dict[str, RehearsalNote] = field(default_factory=dict)
    freezes: dict[str, Freeze] = field(default_factory=dict)
    seen: dict[tuple[str, str], dict[Stage, Mapping[str, Any]]] = field(default_factory=dict)

    def take(self, lock: Lock, *, instead_of: Lock | None = None) -> Lock | None:
        """Take or extend a lock."""
        held = self.locks.get(lock.ecs_cluster)
        if instead_of is None and held is not None and held.owner == lock.owner:
            lock = replace(lock, acting=held.acting | lock.acting)
        elif held != instead_of:
            return held
        self.locks[lock.ecs_cluster] = lock
        return None

    def settle(self, ecs_cluster: str, owner: str, acting: Acting) -> None:
        """Note that a function acts no more."""
        held = self.locks.get(ecs_cluster)
        if held is not None and held.owner == owner:
            self.locks[ecs_cluster] = replace(held, acting=held.acting - {acting})

    def free(self, lock: Lock) -> None:
        """Remove a lock, if owner and functions that act are still those that were read."""
        held = self.locks.get(lock.ecs_cluster)
        if held is not None and (held.owner, held.acting) == (lock.owner, lock.acting):
            del self.locks[lock.ecs_cluster]

    def frozen(self, ecs_cluster: str) -> Freeze | None:
        """The freeze of an ECS cluster."""
        return self.freezes.get(ecs_cluster)

    def freeze(self, ecs_cluster: str, freeze: Freeze) -> Freeze:
        """Freeze, unless it is frozen."""
        return self.freezes.setdefault(ecs_cluster, freeze)

    def thaw(self, ecs_cluster: str) -> None:
        """Lift the freeze."""
        self.freezes.pop(ecs_cluster, None)

    def shorten(self, lock: Lock, expires_at: int) -> None:
        """Set an earlier end, if the lock is still the one that was read."""
        if self.locks.get(lock.ecs_cluster) == lock:
            self.locks[lock.ecs_cluster] = replace(lock, expires_at=expires_at)

    def note_topology(
        self,
        operation: Operation,
        stage: Stage,
        brokers: Sequence[Mapping[str, Any]],
        *,
        now: datetime,
        keep: bool,
    ) -> None:
        """Leave what was seen of the brokers."""
        kept = self.seen.setdefault(_key(operation), {})
        if not keep or stage not in kept:
            kept[stage] = json.loads(json.dumps({"at": written(now), "brokers": brokers}))

    def topologies(self, operation: Operation) -> dict[Stage, Mapping[str, Any]]:
        """What was left of the brokers."""
        return dict(self.seen.get(_key(operation), {}))

    def note_scaling(self, cluster: str, note: ScalingNote) -> None:
        """Write what a scaling leaves."""
        self.scalings[cluster] = note

    def scaling(self, cluster: str) -> ScalingNote | None:
        """What the last scaling left."""
        return self.scalings.get(cluster)

    def note_rehearsal(self, cluster: str, note: RehearsalNote) -> None:
        """Write what a rehearsal leaves."""
        self.rehearsals[cluster] = read_note(json.loads(json.dumps(note.as_dict())))

    def rehearsal(self, cluster: str) -> RehearsalNote | None:
        """What the last rehearsal left."""
        return self.rehearsals.get(cluster)

    def held(self, ecs_cluster: str) -> Lock | None:
        """The lock of an ECS cluster."""
        return self.locks.get(ecs_cluster)

    def forget(self, cluster: str) -> None:
        """Remove what is known of a cluster's health."""
        self.health.pop(cluster, None)

    def release(self, ecs_cluster: str, owner: str) -> bool:
        """Give the lock back if ``owner`` holds it."""
        held = self.locks.get(ecs_cluster)
        if held is None or held.owner != owner:
            return False
        del self.locks[ecs_cluster]
        return True

    def claim(
        self, operation: Operation, *, caller: str, request_hash: str, now: datetime
    ) -> Record | None:
        """Write a record with caller and request, unless there is one."""
        found = self.find(operation.operation_id, operation.machine)
        if found is None:
            self.begin(operation, now=now)
            self.record(operation).update(caller=caller, requestHash=request_hash)
        return found

    def withdraw(self, operation: Operation, request_hash: str) -> None:
        """Remove the record of an operation that was never started."""
        if self.records.get(_key(operation), {}).get("requestHash") == request_hash:
            del self.records[_key(operation)]

    def find(self, operation_id: str, machine: str) -> Record | None:
        """Read the record of a machine's operation."""
        found = self.records.get((machine, operation_id))
        if found is None:
            return None
        operation: Operation = found["operation"]
        return Record(
            operation_id=operation.operation_id,
            cluster=operation.cluster,
            machine=operation.machine,
            execution_arn=operation.execution_arn,
            started_at=operation.started_at,
            ecs_cluster=operation.ecs_cluster,
            caller=found.get("caller", ""),
            request_hash=found.get("requestHash", ""),
            step=found.get("step") or "",
            detail=found.get("detail", ""),
            timeline=list(found["timeline"]),
            waits=list(found["waits"]),
            result=found.get("result", ""),
            report=found.get("report", Stored("")),
            ended_at=found.get("endedAt", ""),
            marks_changes=found.get("marksChanges", False),
            changed_at=found.get("changedAt", ""),
            cancelled_at=found.get("cancelledAt", ""),
            cancelled_by=found.get("cancelledBy", ""),
            resumed_by=found.get("resumedBy", ""),
        )

    def watch_changes(self, operation: Operation) -> None:
        """Mark the record as one whose first change will be noted."""
        self.record(operation)["marksChanges"] = True

    def begin_change(self, operation: Operation, *, now: datetime) -> bool:
        """Note the first change, unless the operation is cancelled."""
        record = self.record(operation)
        if "cancelledAt" in record:
            return False
        record.setdefault("changedAt", written(now))
        return True

    def cancel(self, operation: Operation, *, by: str, now: datetime) -> Record | None:
        """Note the cancellation, unless a change was noted."""
        record = self.records.get(_key(operation))
        if record and record.get("marksChanges") and not {"changedAt", "result"} & record.keys():
            record.setdefault("cancelledAt", written(now))
            record.setdefault("cancelledBy", by)
        return self.find(operation.operation_id, operation.machine)

    def resume(self, record: Record, *, by: str, now: datetime) -> None:
        """Note who let it go on, and remove the end that was read."""
        there = self.records[record.machine, record.operation_id]
        there.update(resumedBy=by, resumedAt=written(now))
        if there.get("endedAt", "") == record.ended_at:
            for ended in ("result", "report", "reportKey", "endedAt"):
                there.pop(ended, None)

    def of_cluster(self, cluster: str, limit: int) -> list[Record]:
        """Records of a cluster, newest first."""
        return self.page(cluster, limit, None)[0]

    def page(self, cluster: str, limit: int, after: Cursor | None) -> tuple[list[Record], bool]:
        """Records after another one, newest first."""
        found = [record for machine, name in self.records if (record := self.find(name, machine))]
        mine = [record for record in found if cluster in {"", record.cluster}]
        mine.sort(key=lambda one: (one.started_at, one.machine, one.operation_id), reverse=True)
        if after is not None:
            last = (after.started_at, after.machine, after.operation_id)
            mine = [o for o in mine if (o.started_at, o.machine, o.operation_id) < last]
        return mine[:limit], len(mine) > limit

    def begin(self, operation: Operation, *, now: datetime) -> None:
        """Write the operation's item once."""
        del now
        self.record(operation)

    def record(self, operation: Operation) -> dict[str, Any]:
        """The item of an operation, as it is kept; made where there is none."""
        new = {"operation": operation, "timeline": [], "waits": [], "step": None}
        return self.records.setdefault(_key(operation), new)

    def progress(self, operation: Operation, *, step: str, detail: str, now: datetime) -> None:
        """Say where the operation is."""
        record = self.record(operation)
        if record["step"] != step:
            record["timeline"].append({"step": step, "at": written(now)})
        new = (record["step"], record.get("detail")) != (step, detail)
        if new and len(record["waits"]) < MOST_WAITS:
            wait = {"step": step, "detail": detail[:LONGEST_WAIT], "at": written(now)}
            record["waits"].append(wait)
        record.update(step=step, detail=detail)
        for ended in ("result", "report", "reportKey", "endedAt"):
            record.pop(ended, None)

    def timeline(self, operation: Operation) -> list[dict[str, str]]:
        """Steps so far."""
        return list(self.records.get(_key(operation), {}).get("timeline", []))

    def end(self, operation: Operation, *, result: str, report: Stored, now: datetime) -> None:
        """Note the result, also of an operation that never began."""
        self.record(operation).update(
            result=result, report=report, reportKey=report.key, endedAt=written(now)
        )


def _key(operation: Operation) -> tuple[str, str]:
    return operation.machine, operation.operation_id
