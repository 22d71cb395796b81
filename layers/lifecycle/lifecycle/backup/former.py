"""Delete what restores have replaced, on request: former databases, copies, buckets of leases.

A restore keeps all of it, and no number of days shows that it is not needed: people do, by this
request. What the cluster works with is never touched. The plan names what goes; an operation
deletes nothing that its plan does not name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.former_data import FORMER_DAYS, FORMER_PATIENCE, final_snapshot, former_lines
from lifecycle.cluster.names import tags
from lifecycle.cluster.polling import Wait, next_wait
from lifecycle.errors import (
    AwsUnavailable,
    FormerDataNotDeleted,
    FormerDataRefused,
    RestoreUnfinished,
)
from lifecycle.operation.steps import FORMER_DELETED
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.backup.ports import BackupSizes, DatabaseBackups
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.former_data import DatabaseBeside
    from lifecycle.cluster.ports import FormerData
    from lifecycle.cluster.stack import Stack
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.operation.ports import Records
    from lifecycle.operation.record import Record
    from lifecycle.teardown.ports import Storage

_RECORDS: Final = 200
_DELETING: Final = "deleting"
_SETTLING: Final = frozenset({"restore", "provision"})


@dataclass(frozen=True, slots=True)
class FormerDataPlanner:
    """What a request would delete; it only reads."""

    former: FormerData
    databases: DatabaseBackups
    sizes: BackupSizes
    records: Records
    control_stack: str

    def plan(self, stack: Stack, *, final_snapshot: bool) -> dict[str, Any]:
        """List what is deleted, with its bytes, and what is kept, with the reason.

        Returns ``present`` (the database that the cluster works with), ``databases``, ``copies``
        and ``buckets`` (``name``, ``bytes``; null where CloudWatch shows none), ``kept`` (``name``,
        ``why``) and ``text``. Raises ``FormerDataRefused``, and ``RestoreUnfinished`` while the
        last restore has not succeeded.
        """
        outputs = stack.outputs
        cluster, present = outputs.cluster_name, outputs.database
        refuse_unfinished(self.records.of_cluster(cluster, _RECORDS))
        seen = self.databases.look(present, tags(self.control_stack, cluster))
        if seen.created is None:
            raise FormerDataRefused(
                f"The present database {present} of cluster {cluster} (output DatabaseClusterId) "
                f"is {seen.status or 'not there'}, and RDS does not show when it was created: "
                "what it has replaced is not known.",
            )
        beside = self.former.databases(cluster, present)
        days = int(stack.parameters.get("FormerDataDays", FORMER_DAYS))
        lines = former_lines(beside, seen.created, days)
        kept = [
            {"name": one.name, "why": why}
            for one in beside
            if (why := _not_former(one, present, replaced=_replaced(one, lines)))
        ]
        names = {one["name"] for one in kept}
        going = [one for one in beside if one.name not in names]
        if stuck := "; ".join(one.stuck for one in going if one.stuck):
            raise FormerDataRefused(
                f"RDS deletes none of it now: {stuck}.",
                next_step="Nothing was changed. Start it in RDS, or enable its key again, then "
                "start the same request again.",
            )
        databases = [
            {**line, "bytes": self.sizes.volume(one.name), "finalSnapshot": final_snapshot}
            for one, line in lines
            if one.name not in names
        ]
        copies = [
            {"name": one.name, "status": one.status, "bytes": self.sizes.volume(one.name)}
            for one in going
            if one.copy
        ]
        leases = self.former.leases(cluster, stack.stack_id, {outputs.node_id_bucket})
        buckets = [{"name": one, "bytes": self.sizes.bucket(one)} for one in leases]
        plan = {
            "present": present,
            "databases": sorted(databases, key=lambda one: str(one["createdAt"])),
            "copies": copies,
            "buckets": buckets,
            "kept": kept,
        }
        return {**plan, "text": _text(plan)}


def refuse_unfinished(records: Sequence[Record]) -> None:
    """Refuse while the last restore has not succeeded: what it replaces may still be needed.

    ``records`` are operations of the cluster, the newest first. A provisioning that succeeded
    since has verified the cluster, and settles it: that is how a restore is given up. What is known
    of no operation is decided by the verification before the deletion.
    """
    for one in records:
        if one.machine not in _SETTLING or not one.changed_at:
            continue
        if one.result == "SUCCEEDED":
            return
        if one.machine == "restore":
            raise RestoreUnfinished(
                f"The restore {one.operation_id}, which began {one.started_at}, "
                f"{'ended as ' + one.result if one.result else 'has not ended'}: what it replaces "
                "is kept until it succeeds.",
                next_step="Nothing was deleted. Start the same restore again, or restore another "
                "backup. If its change set was not executed, provision the cluster with parameters "
                "{} instead. Then start this request again.",
            )


@dataclass(frozen=True, slots=True)
class FormerDataDeleter:
    """Deletes what a plan names, and follows it until it is gone."""

    former: FormerData
    storage: Storage
    journal: Journal

    def delete(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        *,
        plan: Mapping[str, Any],
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Take the next step; repeating it is harmless.

        ``plan`` is the planner's; ``memory`` is what the last look returned, empty at first.
        Returns ``status`` ``DONE`` with ``deleted`` (what is gone, in words) and ``problem`` (what
        is kept, and why), or ``WAITING`` with ``wait`` (seconds) and ``memory``. Raises
        ``FormerDataNotDeleted``.
        """
        self.journal.look(operation, FORMER_DELETED, "reading the databases")
        going = self._databases(operation, cluster, plan)
        buckets = [str(one["name"]) for one in plan["buckets"]]
        left = [one for one in buckets if one not in memory.get("emptied", ())]
        if not going and left:
            # Leases are of brokers that do not run any more; data of processes is not in them.
            left, going = self._bucket(operation, left)
        if not going:
            names = [*plan["databases"], *plan["copies"]]
            return {
                "status": "DONE",
                "deleted": [
                    *(_deleted(one, operation.operation_id) for one in names),
                    *(f"bucket {one}" for one in buckets),
                ],
                "problem": "; ".join(
                    f"{one['name']} is kept: {one['why']}" for one in plan["kept"]
                ),
            }
        now = epoch(self.journal.clock.now())
        mark = "; ".join(going)
        wait = Wait.at(mark, now, Wait.read(memory.get("wait")))
        if wait.lasted(FORMER_PATIENCE, now):
            raise FormerDataNotDeleted(
                f"For {FORMER_PATIENCE // 3600} hours {mark}. The present database "
                f"{cluster.database} was not touched."
            )
        emptied = [one for one in buckets if one not in left]
        return {
            "status": "WAITING",
            "wait": next_wait(wait.looks, near_end=False),
            "memory": {"wait": wait.as_state(), "emptied": emptied},
        }

    def _databases(
        self, operation: Operation, cluster: ClusterOutputs, plan: Mapping[str, Any]
    ) -> list[str]:
        """Begin the deletion of each that the plan names; return what is still there, in words.

        The oldest goes first: the creation of the next one shows until when a former one was in
        use, by which a later restore chooses its source.
        """
        planned = {one["name"]: one for one in (*plan["databases"], *plan["copies"])}
        beside = self.former.databases(operation.cluster, cluster.database)
        there = {one.name: one for one in beside if one.name in planned}
        going = []
        for name, line in planned.items():
            one = there.get(name)
            if one is None:
                continue
            if one.stuck:
                raise FormerDataNotDeleted(
                    f"{one.stuck[0].upper()}{one.stuck[1:]} since the plan was made; it was left "
                    "alone.",
                    next_step="Find out what works with it if it has instances; start it if it is "
                    "stopped, or enable its key. Then start the same request again.",
                )
            going.append(f"database {name} is being deleted")
            if one.status == _DELETING:
                continue
            snapshot = final_snapshot(name, operation.operation_id) if _last(line) else ""
            self.journal.step(operation, FORMER_DELETED, f"deleting database {name}")
            try:
                self.former.delete_database(name, cluster=operation.cluster, snapshot=snapshot)
            except AwsUnavailable as error:
                going[-1] = error.message.rstrip(".")
                break
        return going

    def _bucket(self, operation: Operation, left: Sequence[str]) -> tuple[list[str], list[str]]:
        """Empty and delete the first of some buckets; return what is left, and that in words."""
        name, *others = left
        self.journal.step(operation, FORMER_DELETED, f"deleting bucket {name}")
        if self.storage.empty_bucket(name):
            self.former.delete_bucket(name)
            return others, [f"{len(others)} buckets are left"] if others else []
        return [*left], [f"bucket {name} is being emptied"]


def _replaced(
    database: DatabaseBeside, lines: Sequence[tuple[DatabaseBeside, Mapping[str, Any]]]
) -> bool:
    return any(one.name == database.name and line["replacedAt"] for one, line in lines)


def _not_former(one: DatabaseBeside, present: str, *, replaced: bool) -> str:
    """Return why a database with the cluster's tags is none that a restore left; empty if it is."""
    if one.instances:
        return f"it has {one.instances} instances, so that it is in use"
    if not one.copy and not replaced:
        return (
            f"it was not created before the present database {present}, which has not replaced it"
            if one.created is not None
            else "RDS does not show when it was created"
        )
    return ""


def _last(line: Mapping[str, Any]) -> bool:
    """Whether a final snapshot is taken; what is being deleted already has had its own."""
    return bool(line.get("finalSnapshot")) and line["status"] != _DELETING


def _deleted(line: Mapping[str, Any], operation_id: str) -> str:
    if not _last(line):
        return f"database {line['name']}"
    snapshot = final_snapshot(str(line["name"]), operation_id)
    return f"database {line['name']}, whose final snapshot is {snapshot}"


def _text(plan: Mapping[str, Any]) -> str:
    lines = [
        f"deleted: former database {one['name']}, replaced {one['replacedAt']}, "
        f"{_bytes(one['bytes'])}, "
        + ("after a final snapshot" if one["finalSnapshot"] else "without a final snapshot")
        for one in plan["databases"]
    ]
    lines += [
        f"deleted: copy {one['name']} that a restore made, {_bytes(one['bytes'])}"
        for one in plan["copies"]
    ]
    lines += [
        f"deleted: bucket {one['name']} with former leases, {_bytes(one['bytes'])}"
        for one in plan["buckets"]
    ]
    lines += [f"kept: database {one['name']}: {one['why']}" for one in plan["kept"]]
    if not any(plan[kind] for kind in ("databases", "copies", "buckets")):
        lines.append("There is no former data to delete.")
    elif plan["databases"]:
        lines.append(
            "Afterwards a moment before the last restore can be restored only from a backup with a "
            "snapshot. A final snapshot is newer than every backup of the brokers of its time: no "
            "restore takes it."
        )
    lines.append(f"The present database {plan['present']} is not touched.")
    return "\n".join(lines)


def _bytes(number: int | None) -> str:
    return "size not known" if number is None else f"{number} bytes"
