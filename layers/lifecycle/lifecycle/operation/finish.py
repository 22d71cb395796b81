"""End an operation: report into the bucket, event, record, lock; the same for every way to end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lifecycle import __version__
from lifecycle.cluster.access import access
from lifecycle.cluster.names import stack_name
from lifecycle.errors import AwsUnavailable, Failure, LifecycleError
from lifecycle.observability import logger, of_aws
from lifecycle.operation.page import keep_page
from lifecycle.operation.progress import with_waits
from lifecycle.operation.rehearsal_note import MACHINE, note_of
from lifecycle.pages.operation import operation_page
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from lifecycle.cluster.ports import Stacks
    from lifecycle.operation.announce import Announcer
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.operation.ports import Artifacts
    from lifecycle.services.ports import Services

_SOON: Final = "free within two minutes"
_REPEAT: Final = "Start the same operation again; it resumes where it stopped."
_UNFINISHED: Final[Mapping[str, str]] = {
    "ABORTED": "The execution was aborted",
    "TIMED_OUT": "The state machine timed out",
    "FAILED": "The execution failed before it could record the cause",
}


@dataclass(frozen=True, slots=True)
class Finisher:
    """The use case and its ports."""

    stacks: Stacks
    services: Services
    artifacts: Artifacts
    journal: Journal
    announcer: Announcer
    control_stack: str

    def succeed(
        self, operation: Operation, *, request: Mapping[str, Any], outcome: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write the report, note the end, free the cluster. Returns what the execution returns.

        ``outcome`` is what the machine has to report beside the result, under names of its own.
        """
        ended: dict[str, Any] = {"result": "SUCCEEDED", **outcome}
        if operation.machine == "provision":
            ended["access"] = self._access(operation.cluster)
        report = self._end(operation, request, ended)
        self.journal.give_back(operation)
        return report

    def fail(
        self,
        operation: Operation,
        *,
        request: Mapping[str, Any],
        error: Mapping[str, Any],
        outcome: Mapping[str, Any],
        partial: bool = False,
    ) -> dict[str, Any]:
        """Describe what is true now and what to do next; write the report; free the cluster.

        ``error`` is what Step Functions caught: ``Error`` and ``Cause``; ``outcome`` is what the
        machine has to report all the same; ``partial`` shows that the infrastructure is done and
        the services are not. Returns ``error`` and ``cause`` for the Fail state. Raises
        ``AwsUnavailable`` when the end could not be published; the cluster is free all the same.
        """
        failure = Failure.caught(error)
        failure = self._complete(operation, failure)
        result = "PARTIAL" if partial else "FAILED"
        ended = {"result": result, "error": failure.name, **failure.document(), **outcome}
        self._end(operation, request, ended)
        try:
            self.journal.give_back(operation)
        except Exception as lock:  # noqa: BLE001 - raised again unless it is known
            # The event of the failed execution has the lock given back again.
            _unread("its lock", lock)
        return {"error": failure.name, "cause": failure.to_cause()}

    def close(
        self,
        operation: Operation,
        *,
        request: Mapping[str, Any],
        status: str,
        error: str,
        cause: str,
    ) -> dict[str, Any]:
        """End an operation whose execution could not do so itself; ``status`` as AWS names it.

        Returns the report. The cluster stays locked: the caller gives it back. Raises
        ``AwsUnavailable`` when the end could not be published; then the cluster is given back.
        """
        steps = self.journal.operations.timeline(operation)
        where = f" during {steps[-1]['step']!r}" if steps else ""
        found = Failure.read(error or status, cause)
        reason = f": {found.cause}" if found.cause else "."
        failure = Failure(error or status, f"{_UNFINISHED[status]}{where}{reason}", found.next_step)
        complete = self._complete(operation, failure)
        ended = {"result": status, "error": complete.name, **complete.document()}
        return self._end(operation, request, ended)

    def _complete(self, operation: Operation, failure: Failure) -> Failure:
        # An error that is not ours (a killed function, a timeout) has no next step.
        return replace(
            failure,
            next_step=failure.next_step or _REPEAT,
            current_state=f"{self._current_state(operation.cluster)}; {self._last_step(operation)}"
            f"the cluster is {self._availability(operation)} for the next operation.",
        )

    def _last_step(self, operation: Operation) -> str:
        """Return the step that was recorded last, with what it was about; empty without one."""
        try:
            found = self.journal.operations.find(operation.operation_id, operation.machine)
        except Exception as error:  # noqa: BLE001 - raised again unless it is known
            return f"{_unread('its record', error)}; "
        if found is None or not found.detail:
            return ""
        return f"last step {found.step!r}: {found.detail.rstrip('.')}; "

    def _current_state(self, cluster: str) -> str:
        """Describe what can be read now; an end is reported whatever cannot be read."""
        name = stack_name(self.control_stack, cluster)
        try:
            stack = self.stacks.describe(name)
        except Exception as error:  # noqa: BLE001 - raised again unless it is known
            return _unread(f"Stack {name}", error)
        if stack is None:
            return "There is no stack for this cluster"
        facts = [f"Stack {stack.name} is in {stack.status}"]
        names = stack.outputs.service_names
        if names:
            facts += self._counts(stack.outputs.ecs_cluster, names)
        return "; ".join(facts)

    def _access(self, cluster: str) -> dict[str, Any] | None:
        """Return how the cluster is reached; work that is done does not fail for it.

        Tasks are not read: a report is kept, and the tasks of that moment are soon gone. None where
        the stack cannot be read.
        """
        name = stack_name(self.control_stack, cluster)
        try:
            stack = self.stacks.describe(name)
        except Exception as error:  # noqa: BLE001 - raised again unless it is known
            logger.warning("No access in the report", extra={"reason": _unread(name, error)})
            return None
        return None if stack is None else access(stack, None)

    def _availability(self, operation: Operation) -> str:
        try:
            held = self.journal.locks.held(operation.ecs_cluster)
            soon = self.journal.others_act(operation)
        except Exception as error:  # noqa: BLE001 - raised again unless it is known
            return f"possibly free ({_unread('its lock', error)})"
        if held is None or held.owner == operation.execution_arn:
            return _SOON if soon else "free"
        return f"held by operation {held.operation_id}, not free"

    def _counts(self, ecs_cluster: str, names: Sequence[str]) -> list[str]:
        try:
            services = self.services.describe(ecs_cluster, names)
        except Exception as error:  # noqa: BLE001 - raised again unless it is known
            return [_unread("the services", error)]
        return [
            f"service {service.name} runs {service.running} of {service.desired} tasks"
            if service.exists
            else f"there is no service {service.name}"
            for service in services
        ]

    def _end(
        self,
        operation: Operation,
        request: Mapping[str, Any],
        ended: dict[str, Any],
    ) -> dict[str, Any]:
        now = self.journal.clock.now()
        ended_at = written(now)
        if operation.machine == MACHINE:
            self._note_rehearsal(operation, ended, now)
        key = f"operations/{operation.cluster}/{operation.machine}/{operation.operation_id}.json"
        record = self.journal.operations.find(operation.operation_id, operation.machine)
        timeline, waits = (record.timeline, record.waits) if record else ((), ())
        report = {
            "operationId": operation.operation_id,
            "cluster": operation.cluster,
            **ended,
            "reportKey": key,
            "machine": operation.machine,
            "release": __version__,
            "startedAt": operation.started_at,
            "endedAt": ended_at,
            "timeline": list(timeline),
        }
        # The bucket holds what would be too much for a state machine's state.
        full: dict[str, Any] = {
            **report,
            "timeline": with_waits(timeline, waits),
            "topologies": self.journal.operations.topologies(operation),
            "startedBy": (record.caller if record else "") or None,
            "request": dict(request),
            "operation": asdict(operation),
        }
        page = keep_page(self.artifacts, key, operation_page, full)
        full |= {
            "pageKey": page.key if page is not None else None,
            "pageVersion": page.version if page is not None else None,
        }
        stored = self.artifacts.put(key, json.dumps(full, indent=2).encode(), "application/json")
        # Published before it is recorded: after a crash it is rather published twice.
        published = self.announcer.ended(
            operation,
            result=ended["result"],
            error=ended.get("error", ""),
            report_key=key,
            ended_at=ended_at,
        )
        # Work that is done does not fail for its event. Other ends are messages to people: a retry
        # of the state or of the event repeats the end, which is recorded once it is published.
        if not published and ended["result"] != "SUCCEEDED":
            self.journal.give_back(operation)
            raise AwsUnavailable("EventBridge did not take the event on the operation's end.")
        self.journal.operations.end(operation, result=ended["result"], report=stored, now=now)
        return report

    def _note_rehearsal(
        self, operation: Operation, ended: Mapping[str, Any], now: datetime
    ) -> None:
        """Leave what it showed for health checks and restores; one place for every way to end."""
        note = note_of(ended, operation.operation_id, now)
        if note is None:
            return
        note = note.after(self.journal.operations.rehearsal(operation.cluster))
        if note is not None:
            self.journal.operations.note_rehearsal(operation.cluster, note)


def _unread(what: str, error: Exception) -> str:
    """Describe what could not be read and why. Raises what is no error of AWS or of ours."""
    known = error if isinstance(error, LifecycleError) else of_aws(error)
    if known is None:
        raise error
    return f"{what} could not be read ({known.message.rstrip('.')})"
