"""Ports of this room: locks, executions, records, events and artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from lifecycle.cluster.freeze import Freeze
    from lifecycle.operation.cursor import Cursor
    from lifecycle.operation.events import Event
    from lifecycle.operation.model import Acting, Lock, Operation
    from lifecycle.operation.record import Execution, Record, Stage, Stored
    from lifecycle.operation.rehearsal_note import RehearsalNote
    from lifecycle.operation.scaling_note import ScalingNote


class Locks(Protocol):
    """One lock per ECS cluster, by its name. An owner is the ARN of an execution."""

    def take(self, lock: Lock, *, instead_of: Lock | None = None) -> Lock | None:
        """Take or extend a lock by one conditional write. Times are epoch seconds.

        Succeeds when it is free or the same owner holds it, whose functions that act stay noted;
        with ``instead_of``, when exactly that lock (of an owner that ended) is still there. Returns
        None on success, else the lock that is in the way.
        """
        ...

    def held(self, ecs_cluster: str) -> Lock | None:
        """The lock of an ECS cluster, with its owner; None when it is free."""
        ...

    def settle(self, ecs_cluster: str, owner: str, acting: Acting) -> None:
        """Note that a function acts no more; nothing where ``owner`` holds the lock no more."""
        ...

    def free(self, lock: Lock) -> None:
        """Remove a lock, if its owner and its functions that act are still those that were read."""
        ...

    def shorten(self, lock: Lock, expires_at: int) -> None:
        """Let a lock expire earlier, if it is still the one that was read; else nothing."""
        ...

    def frozen(self, ecs_cluster: str) -> Freeze | None:
        """The freeze of an ECS cluster; None when it is not frozen."""
        ...

    def release(self, ecs_cluster: str, owner: str) -> bool:
        """Give the lock back if ``owner`` holds it; returns whether it did."""
        ...


class Freezes(Protocol):
    """One freeze per ECS cluster."""

    def frozen(self, ecs_cluster: str) -> Freeze | None:
        """The freeze of an ECS cluster; None when it is not frozen."""
        ...

    def freeze(self, ecs_cluster: str, freeze: Freeze) -> Freeze:
        """Freeze an ECS cluster; returns the freeze that stands, which an earlier one may be."""
        ...

    def thaw(self, ecs_cluster: str) -> None:
        """Lift the freeze of an ECS cluster; one that is not frozen is no error."""
        ...


class Executions(Protocol):
    """State machine executions."""

    def is_running(self, execution_arn: str) -> bool:
        """Return whether an execution runs; one that does not exist does not run."""
        ...

    def has_ended(self, execution_arn: str) -> bool:
        """Return whether an execution is known to have ended; one that is not seen yet has not."""
        ...

    def describe(self, execution_arn: str) -> Execution | None:
        """Describe an execution; None when there is none, or it is not seen yet."""
        ...


class Machines(Protocol):
    """State machines: start them and read their status."""

    def start(self, machine_arn: str, name: str, text: str) -> bool:
        """Start an execution with a JSON text as its input.

        False when an execution of that name exists already and this call started none; the same
        name and input while the first runs counts as started. Raises ``MachineNotDeployed`` and
        ``AwsRefused`` when certainly nothing was started, ``StartOutcomeUnknown`` when the
        outcome is unknown.
        """
        ...

    def describe(self, execution_arn: str) -> Execution | None:
        """Describe an execution; None when there is none, or no longer after 90 days."""
        ...

    def stop(self, execution_arn: str, *, error: str, cause: str) -> None:
        """Stop an execution, with an error's name and a cause; one that ended stays as it is."""
        ...

    def redrive(self, execution_arn: str) -> None:
        """Let an execution that did not succeed go on from the state in which it ended.

        Raises ``OperationNotResumable`` with the reason of Step Functions; then nothing was
        started.
        """
        ...

    def ended_in_fail_state(self, execution_arn: str) -> bool:
        """Whether a failed execution ended in a Fail state, which a redrive would only repeat."""
        ...


class Records(Protocol):
    """Records of operations: start them and report on them."""

    def claim(
        self, operation: Operation, *, caller: str, request_hash: str, now: datetime
    ) -> Record | None:
        """Write a record with caller and request, unless there is one; then return that one."""
        ...

    def withdraw(self, operation: Operation, request_hash: str) -> None:
        """Remove the record of an operation that was never started, if it is of that request."""
        ...

    def find(self, operation_id: str, machine: str) -> Record | None:
        """Read the record of a machine's operation; None when it never began."""
        ...

    def cancel(self, operation: Operation, *, by: str, now: datetime) -> Record | None:
        """Cancel an operation that marks its changes, has made none and has not ended.

        Returns the record as it then stands: cancelled, or with what is in the way. The first
        cancellation stands. One of this and of ``Operations.begin_change`` comes first, and keeps
        the other from succeeding.
        """
        ...

    def resume(self, record: Record, *, by: str, now: datetime) -> None:
        """Note that an operation goes on after its end, unless it has ended once more by then."""
        ...

    def of_cluster(self, cluster: str, limit: int) -> Sequence[Record]:
        """Records of a cluster, newest first; they may lag by a moment."""
        ...

    def page(self, cluster: str, limit: int, after: Cursor | None) -> tuple[Sequence[Record], bool]:
        """Up to so many records after another one, newest first, and whether there may be more.

        ``cluster`` is empty for those of all clusters. They may lag by a moment.
        """
        ...


class Operations(Protocol):
    """The record of each operation."""

    def begin(self, operation: Operation, *, now: datetime) -> None:
        """Write the operation's item; writing it again changes nothing."""
        ...

    def watch_changes(self, operation: Operation) -> None:
        """Note that the functions of the operation mark its first change before they make it."""
        ...

    def begin_change(self, operation: Operation, *, now: datetime) -> bool:
        """Note that the operation changes something from now on; the first time stands.

        False where the operation was cancelled: then nothing may be changed.
        """
        ...

    def progress(self, operation: Operation, *, step: str, detail: str, now: datetime) -> None:
        """Record where the operation is and what it waits for; it has no result before its end."""
        ...

    def find(self, operation_id: str, machine: str) -> Record | None:
        """Read the record of a machine's operation; None when it never began."""
        ...

    def timeline(self, operation: Operation) -> Sequence[Mapping[str, str]]:
        """Steps so far with the time each began, oldest first."""
        ...

    def note_topology(
        self,
        operation: Operation,
        stage: Stage,
        brokers: Sequence[Mapping[str, Any]],
        *,
        now: datetime,
        keep: bool,
    ) -> None:
        """Leave for the report what was seen of the brokers, with ``keep`` only the first."""
        ...

    def topologies(self, operation: Operation) -> Mapping[Stage, Mapping[str, Any]]:
        """What was left of the brokers by stage: ``at`` (ISO 8601) and ``brokers``."""
        ...

    def note_scaling(self, cluster: str, note: ScalingNote) -> None:
        """Leave what a scaling does, for health checks; the last one replaces that before."""
        ...

    def scaling(self, cluster: str) -> ScalingNote | None:
        """What the last scaling of the cluster left; None when there was none."""
        ...

    def note_rehearsal(self, cluster: str, note: RehearsalNote) -> None:
        """Leave what a rehearsal showed; the last one replaces that before."""
        ...

    def rehearsal(self, cluster: str) -> RehearsalNote | None:
        """What the last rehearsal of a cluster left; None when there was none."""
        ...

    def end(self, operation: Operation, *, result: str, report: Stored, now: datetime) -> None:
        """Record the result, where the report is, and which version of it."""
        ...


class Events(Protocol):
    """An event bus."""

    def send(self, event: Event) -> bool:
        """Send an event; returns whether it was sent. Never raises: what goes wrong is logged."""
        ...


class Artifacts(Protocol):
    """The artifact bucket."""

    def put(self, key: str, body: bytes, content_type: str) -> Stored:
        """Store an object; returns which version of it that is."""
        ...

    def get(self, key: str, version: str) -> bytes | None:
        """Read that version of an object; None when there is none."""
        ...

    def url(self, stored: Stored) -> str:
        """Address of a version of an object as CloudFormation takes it for a template."""
        ...

    def link(self, stored: Stored, lasts: timedelta) -> str:
        """Link that reads a version of an object for so long, without any other permission."""
        ...


class Schedules(Protocol):
    """One-time schedules that end by themselves."""

    def has(self, name: str) -> bool:
        """Whether there is a schedule of that name, or was one that is kept."""
        ...

    def once(
        self, name: str, *, at: datetime, payload: Mapping[str, str], keep: bool = False
    ) -> None:
        """Call the function behind this port once; the same name again changes nothing."""
        ...


class Messages(Protocol):
    """Messages to people."""

    def publish(self, subject: str, text: str) -> None:
        """Send a message; the subject has less than 100 characters of printable ASCII."""
        ...
