"""Conduct a rehearsal: look, and take one step; what other operations do is theirs.

It starts a backup, a restore into a trial and the trial's teardown as operations of their own, each
under a key that follows from the rehearsal, so that a repetition finds what it has started. What it
measures is the restore: the very operation that makes a cluster of its backups when it is lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.checks import Check, Result, overall
from lifecycle.cluster.names import stack_name
from lifecycle.cluster.polling import Wait, next_wait
from lifecycle.cluster.stack import is_running
from lifecycle.errors import (
    AwsUnavailable,
    ClusterBusy,
    Failure,
    LifecycleError,
    StartOutcomeUnknown,
)
from lifecycle.operation.approval import OF_REHEARSAL
from lifecycle.operation.steps import (
    BACKUP,
    COMPARISON,
    MARKERS_PLANTED,
    MARKERS_REMOVED,
    TRIAL_MADE,
    TRIAL_REMOVED,
)
from lifecycle.rehearsal.marker import check_markers, read_found
from lifecycle.rehearsal.totals import compare, equal, read_counts
from lifecycle.times import epoch
from lifecycle.verification.process_instances import read_instances

if TYPE_CHECKING:
    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Stacks
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.operation.start import OperationStarter
    from lifecycle.rehearsal.marker import Found

# Another operation may hold the cluster: a scaling takes this long.
BUSY_PATIENCE: Final = 60 * 60
PLANT_PATIENCE: Final = 3 * 60
# An exporter flushes within seconds; brokers that were restored export again what the database
# lacks.
COMPARE_PATIENCE: Final = 10 * 60
REMOVE_PATIENCE: Final = 3 * 60
# CloudFormation may still make what an operation that ended has begun.
STACK_PATIENCE: Final = 60 * 60
PARAMETERS: Final[Mapping[str, object]] = {"Trial": True, "AcceptPlaintext": True}


class Stage(StrEnum):
    """How far a rehearsal is, in this order."""

    PLANT = "PLANT"
    BACKUP = "BACKUP"
    RESTORE = "RESTORE"
    COMPARE = "COMPARE"
    TEARDOWN = "TEARDOWN"
    REMOVE = "REMOVE"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Child:
    """An operation that the rehearsal started; times are ISO 8601, empty where not known."""

    operation_id: str
    started_at: str = ""
    ended_at: str = ""
    status: str = ""

    @property
    def seconds(self) -> int | None:
        """How long it took; None while that is not known."""
        if not self.started_at or not self.ended_at:
            return None
        took = datetime.fromisoformat(self.ended_at) - datetime.fromisoformat(self.started_at)
        return int(took.total_seconds())

    def as_state(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "operationId": self.operation_id,
            "startedAt": self.started_at,
            "endedAt": self.ended_at,
            "status": self.status,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known after some looks.

    ``planted`` is what the probe returned of the markers; ``backup`` the id of the backup that is
    restored, ``at`` its moment (ISO 8601), ``copied`` the ``objects`` and ``bytes`` of the bucket;
    ``children`` by their verb; ``found``, ``live`` and
    ``copy`` what the probe returned of the comparison; ``problems`` why the rehearsal has failed.
    """

    stage: Stage = Stage.PLANT
    waited: Mapping[str, Any] | None = None
    planted: Mapping[str, Any] = field(default_factory=dict)
    backup: int = 0
    at: str = ""
    copied: Mapping[str, int] = field(default_factory=dict)
    children: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    found: Mapping[str, Any] = field(default_factory=dict)
    live: Mapping[str, Any] = field(default_factory=dict)
    copy: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Memory:
        """Read it as the state machine carries it; empty before the first look."""
        if not state:
            return cls()
        return cls(
            **{
                **state,
                "stage": Stage(state["stage"]),
                "problems": tuple(state["problems"]),
            }
        )

    def as_state(self) -> dict[str, Any]:
        """Return it as the state machine carries it."""
        return {
            "stage": str(self.stage),
            "waited": self.waited,
            "planted": dict(self.planted),
            "backup": self.backup,
            "at": self.at,
            "copied": dict(self.copied),
            "children": {verb: dict(one) for verb, one in self.children.items()},
            "found": dict(self.found),
            "live": dict(self.live),
            "copy": dict(self.copy),
            "problems": list(self.problems),
        }

    def to(self, stage: Stage, *problems: str) -> Memory:
        """Go on to a stage, with what went wrong in this one."""
        return replace(self, stage=stage, waited=None, problems=(*self.problems, *problems))


@dataclass(frozen=True, slots=True)
class Conductor:
    """The use case and its ports. ``starter`` starts operations without a review."""

    stacks: Stacks
    probe: Callable[[], Probe]
    starter: OperationStarter
    journal: Journal
    control_stack: str

    def step(self, operation: Operation, *, trial: str, state: Mapping[str, Any]) -> dict[str, Any]:
        """Take the next step; ``state`` is the ``memory`` of the last look, empty at first.

        Returns ``status`` ``WAITING`` with ``wait`` (seconds) and ``memory``, or ``DONE`` with
        ``rehearsal``: ``result`` (PASS, WARN or FAIL), ``failure`` (empty, or why it failed),
        ``checks``, ``backup``, ``at``, ``copied``, ``operations`` by verb, and
        ``recoverySeconds``. What goes
        wrong is part of it: the trial is removed all the same.
        """
        memory = Memory.read(state)
        steps: Mapping[Stage, Callable[[Operation, str, Memory], Memory]] = {
            Stage.PLANT: self._plant,
            Stage.BACKUP: self._back_up,
            Stage.RESTORE: self._restore,
            Stage.COMPARE: self._compare,
            Stage.TEARDOWN: self._tear_down,
            Stage.REMOVE: self._remove,
        }
        after = steps[memory.stage](operation, trial, memory)
        if after.stage is Stage.DONE:
            return {"status": "DONE", "rehearsal": _outcome(after, trial)}
        moved = after.stage is not memory.stage
        looks = 0 if moved else _wait(after).looks
        wait = next_wait(looks, near_end=moved)
        return {"status": "WAITING", "wait": wait, "memory": after.as_state()}

    # --- the cluster ------------------------------------------------------------------------------

    def _plant(self, operation: Operation, _trial: str, memory: Memory) -> Memory:
        memory, over = self._waits(memory, "markers", PLANT_PATIENCE)
        self.journal.step(operation, MARKERS_PLANTED, f"on {operation.cluster}")
        answer = self._ask(
            operation.cluster, "plant markers", marker=_marker(operation), known=memory.planted
        )
        memory = replace(memory, planted=answer or memory.planted)
        if read_instances(memory.planted).complete:
            return memory.to(Stage.BACKUP)
        # Without markers, totals still show what came back: the rehearsal goes on and warns.
        return memory.to(Stage.BACKUP) if over else memory

    def _back_up(self, operation: Operation, _trial: str, memory: Memory) -> Memory:
        request = {"clusterName": operation.cluster, "action": "take"}
        memory, output, problem = self._follow(operation, "backup", request, BACKUP, memory)
        if problem:
            return memory.to(Stage.REMOVE, problem)
        if output is None:
            return memory
        found = output.get("backup") or {}
        return replace(memory, backup=int(found.get("id") or 0)).to(Stage.RESTORE)

    def _restore(self, operation: Operation, trial: str, memory: Memory) -> Memory:
        request = {
            "clusterName": trial,
            "confirm": trial,
            "from": operation.cluster,
            "backup": memory.backup,
            "parameters": dict(PARAMETERS),
        }
        memory, output, problem = self._follow(operation, "restore", request, TRIAL_MADE, memory)
        if problem:
            return memory.to(Stage.TEARDOWN, problem)
        if output is None:
            return memory
        at = str((output.get("restored") or {}).get("at") or "")
        copied = output.get("copied") or {}
        return replace(memory, at=at, copied=copied).to(Stage.COMPARE)

    # --- the comparison ---------------------------------------------------------------------------

    def _compare(self, operation: Operation, trial: str, memory: Memory) -> Memory:
        memory, over = self._waits(memory, "comparison", COMPARE_PATIENCE)
        self.journal.step(operation, COMPARISON, f"{trial} with {operation.cluster}")
        keys = sorted(str(one) for one in read_instances(memory.planted).made.values())
        if keys:
            found = self._ask(
                trial, "find markers", marker=_marker(operation), keys=keys, known=memory.found
            )
            memory = replace(memory, found=found or memory.found)
        live = self._count(operation.cluster, memory.at, memory.live)
        # The copy's exporters catch up: what is not equal yet is counted anew.
        known = memory.copy if not memory.copy.get("complete") else {}
        copy = self._count(trial, memory.at, known)
        memory = replace(memory, live=live, copy=copy)
        counted = live.get("complete") is True and copy.get("complete") is True
        same = counted and equal(read_counts(live["counts"]), read_counts(copy["counts"]))
        marked = not keys or read_found(memory.found).complete
        return memory.to(Stage.TEARDOWN) if over or (same and marked) else memory

    def _count(self, cluster: str, at: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if known.get("complete") is True:
            return known
        answer = self._ask(cluster, "totals", until=at, known=known.get("counts", {}))
        return answer or known

    # --- the end ----------------------------------------------------------------------------------

    def _tear_down(self, operation: Operation, trial: str, memory: Memory) -> Memory:
        if "teardown" not in memory.children:
            stack = self.stacks.describe(stack_name(self.control_stack, trial))
            if stack is None:
                return memory.to(Stage.REMOVE)
            if is_running(stack.status):
                memory, over = self._waits(memory, "stack", STACK_PATIENCE)
                if not over:
                    self.journal.look(operation, TRIAL_REMOVED, f"{trial} is in {stack.status}")
                    return memory
        request = {"clusterName": trial, "confirm": trial}
        memory, output, problem = self._follow(
            operation, "teardown", request, TRIAL_REMOVED, memory
        )
        if problem:
            return memory.to(Stage.REMOVE, f"{problem}; tear {trial} down, it costs until then")
        return memory if output is None else memory.to(Stage.REMOVE)

    def _remove(self, operation: Operation, _trial: str, memory: Memory) -> Memory:
        memory, over = self._waits(memory, "markers", REMOVE_PATIENCE)
        self.journal.step(operation, MARKERS_REMOVED, f"from {operation.cluster}")
        answer = self._ask(operation.cluster, "remove markers")
        # Those that are left wait on, and the next rehearsal removes them as well.
        done = answer.get("left") == 0
        return memory.to(Stage.DONE) if done or over else memory

    # --- what all do ------------------------------------------------------------------------------

    def _follow(
        self,
        operation: Operation,
        verb: str,
        request: Mapping[str, object],
        step: str,
        memory: Memory,
    ) -> tuple[Memory, Mapping[str, Any] | None, str]:
        """Start an operation, or look how it is; give its output once it succeeded, or a problem.

        While another operation holds its cluster, it waits; so it does while AWS does not respond,
        because the operation may run.
        """
        there = str(memory.children.get(verb, {}).get("operationId", ""))
        self.journal.step(operation, step, there or f"starting {verb}")
        try:
            record, execution = self.starter.start(
                verb, request, key=_key(operation), caller=OF_REHEARSAL
            )
        except (ClusterBusy, AwsUnavailable, StartOutcomeUnknown) as error:
            memory, over = self._waits(memory, "busy", BUSY_PATIENCE)
            return memory, None, error.message.rstrip(".") if over else ""
        except LifecycleError as error:
            return memory, None, f"{verb} was not started: {error.message.rstrip('.')}"
        status = execution.status if execution is not None else "RUNNING"
        child = Child(
            record.operation_id,
            execution.started_at if execution is not None else "",
            execution.ended_at if execution is not None else "",
            status,
        )
        children = {**memory.children, verb: child.as_state()}
        memory, _ = self._waits(replace(memory, children=children), verb, BUSY_PATIENCE)
        if execution is None or execution.is_running:
            return memory, None, ""
        if status == "SUCCEEDED":
            return memory, json.loads(execution.output or "{}"), ""
        failure = Failure.read(execution.error or status, execution.cause)
        why = failure.cause.rstrip(".") or failure.name
        return memory, None, f"{record.operation_id} ended as {status}: {why}"

    def _ask(self, cluster: str, question: str, **arguments: object) -> Mapping[str, Any]:
        """Ask the probe; nothing where it cannot be asked now."""
        outputs = self._stack_of(cluster)
        if outputs is None:
            return {}
        try:
            return self.probe().query(question, outputs, **arguments)
        except LifecycleError:
            return {}

    def _stack_of(self, cluster: str) -> ClusterOutputs | None:
        stack = self.stacks.describe(stack_name(self.control_stack, cluster))
        return None if stack is None else stack.outputs

    def _waits(self, memory: Memory, mark: str, patience: int) -> tuple[Memory, bool]:
        now = epoch(self.journal.clock.now())
        wait = Wait.at(mark, now, Wait.read(memory.waited))
        return replace(memory, waited=wait.as_state()), wait.lasted(patience, now)


def _wait(memory: Memory) -> Wait:
    found = Wait.read(memory.waited)
    return found if found is not None else Wait("", 0)


def _key(operation: Operation) -> str:
    """Key of what a rehearsal starts: the same for a repetition, another for another rehearsal."""
    return f"rh-{hashlib.sha256(operation.execution_arn.encode()).hexdigest()[:24]}"


def _marker(operation: Operation) -> str:
    return operation.operation_id


def _outcome(memory: Memory, trial: str) -> dict[str, Any]:
    checks = []
    if memory.at:
        checks.append(check_markers(_found(memory)))
        checks += compare(
            read_counts(memory.live.get("counts", {})), read_counts(memory.copy.get("counts", {}))
        )
    checks += [Check("rehearsal", Result.FAIL, one, "See the report.") for one in memory.problems]
    result = overall(checks)
    failed = [f"{one.name}: {one.seen}" for one in checks if one.result is Result.FAIL]
    restore = memory.children.get("restore", {})
    restored = restore.get("status") == "SUCCEEDED"
    return {
        "result": str(result),
        "failure": "; ".join(failed),
        "trial": trial,
        "backup": memory.backup,
        "at": memory.at,
        "copied": dict(memory.copied),
        "recoverySeconds": restore.get("seconds") if restored else None,
        "checks": [one.as_dict() for one in checks],
        "operations": {verb: dict(one) for verb, one in memory.children.items()},
    }


def _found(memory: Memory) -> Found:
    """Return what the copy has of the markers; all of them are wanted, also without an answer."""
    wanted = tuple(sorted(read_instances(memory.planted).made.values()))
    return replace(read_found(memory.found), wanted=wanted)
