"""Report on operations: what is written down, and what Step Functions reports on the execution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import OperationNotFound
from lifecycle.operation.cursor import Cursor
from lifecycle.operation.idempotency import LONGEST_NAME, split_operation_id
from lifecycle.operation.progress import failure, progress, result_of, status_of
from lifecycle.operation.record import RUNNING, Execution, Record
from lifecycle.operation.steps import STEPS

if TYPE_CHECKING:
    from lifecycle.operation.arns import MachineArns
    from lifecycle.operation.ports import Machines, Records

LISTED: Final = 50
_READ_AT_ONCE: Final = 500
_LOOKED_AT: Final = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which operations to list; an empty field asks for all."""

    cluster: str = ""
    verb: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class OperationReader:
    """The use case and its ports."""

    machines: Machines
    records: Records
    arns: MachineArns

    def read(self, operation_id: str) -> dict[str, Any]:
        """Report on one operation. Raises ``OperationNotFound``."""
        return self.report(*self.find(operation_id))

    def find(self, operation_id: str) -> tuple[Record, Execution | None]:
        """Find an operation and its execution. Raises ``OperationNotFound``.

        Two machines may have an execution of one name, given in the console: the machine that the
        id names goes first, then the operation that began last.
        """
        if len(operation_id) > LONGEST_NAME:
            raise _unknown(f"{operation_id[:LONGEST_NAME]}…")
        parts = split_operation_id(operation_id)
        record = self._record(operation_id, parts[1] if parts else "")
        if record is None and parts is None:
            raise _unknown(operation_id)
        arn = record.execution_arn if record else ""
        if not arn and parts is not None:
            arn = self.arns.execution(parts[1], operation_id)
        execution = self.machines.describe(arn)
        if record is None:
            if execution is None or parts is None:
                raise _unknown(operation_id)
            record = Record(operation_id, parts[0], parts[1], arn, execution.started_at)
        return record, execution

    def _record(self, operation_id: str, named: str) -> Record | None:
        if named in STEPS and (record := self.records.find(operation_id, named)):
            return record
        others = [self.records.find(operation_id, verb) for verb in STEPS if verb != named]
        return max(filter(None, others), key=lambda one: one.started_at, default=None)

    def of_cluster(self, cluster: str, limit: int = LISTED) -> list[dict[str, Any]]:
        """List a cluster's operations, newest first, without steps and results."""
        return [self._line(record) for record in self.records.of_cluster(cluster, limit)]

    def page(
        self, which: Wanted, *, limit: int, after: Cursor | None
    ) -> tuple[list[dict[str, Any]], Cursor | None]:
        """List operations, newest first, and where the list goes on; None at its end.

        At most ``_READ_AT_ONCE`` records are read, so that a page of a rare kind may be short and
        yet go on.
        """
        lines: list[dict[str, Any]] = []
        read = 0
        while read < _READ_AT_ONCE:
            records, more = self.records.page(which.cluster, LISTED, after)
            for number, record in enumerate(records, start=1):
                after = Cursor(
                    record.started_at, record.cluster, record.machine, record.operation_id
                )
                if which.verb in {"", record.machine}:
                    line = self._line(record)
                    if which.status in {"", line["status"]}:
                        lines.append(line)
                if len(lines) == limit:
                    return lines, after if more or number < len(records) else None
            if not more:
                return lines, None
            read += len(records)
        return lines, after

    def latest(self, cluster: str) -> dict[str, Any] | None:
        """Return the operation that runs, or else the newest one that may have changed something.

        A plan changes nothing; it is the latest only where there is nothing else.
        """
        found = self.of_cluster(cluster, _LOOKED_AT)
        changing = [one for one in found if one["kind"] != "plan"]
        running = [one for one in changing if one["status"] in RUNNING]
        return next(iter([*running, *changing, *found]), None)

    def report(self, record: Record, execution: Execution | None) -> dict[str, Any]:
        """Return an operation as the API returns it."""
        status = status_of(record, execution)
        return {
            **_head(record, status, execution),
            "progress": progress(record, record.machine, status),
            "result": result_of(execution) if execution and status == "SUCCEEDED" else None,
            "error": failure(status, execution),
            "reportKey": record.report.key or None,
            "changedAt": record.changed_at or None,
            "cancelledBy": record.cancelled_by or None,
            "resumedBy": record.resumed_by or None,
        }

    def _line(self, record: Record) -> dict[str, Any]:
        # The record of an ended operation has its result; only the others are looked up.
        execution = None if record.result else self.machines.describe(record.execution_arn)
        return _head(record, status_of(record, execution), execution)


def just_started(record: Record) -> Execution:
    """Return the execution of an operation that has just been started."""
    return Execution(record.execution_arn, "RUNNING", record.started_at)


def _head(record: Record, status: str, execution: Execution | None) -> dict[str, Any]:
    return {
        "operationId": record.operation_id,
        "cluster": record.cluster,
        "kind": record.machine,
        "status": status,
        "startedAt": record.started_at or None,
        "endedAt": (execution.ended_at if execution else "") or record.ended_at or None,
        "startedBy": record.caller or None,
        "execution": record.execution_arn,
    }


def _unknown(operation_id: str) -> OperationNotFound:
    return OperationNotFound(f"There is no operation {operation_id!r}.")
