"""Scaling brokers: what was observed x what is requested -> what is done next.

``scaling/partitions.py`` decides about partitions with the same parts.

The whole choreography is this one decision, taken again after every step. It needs no memory to be
right: an operation that was interrupted anywhere is continued by the next one. What it does
remember (``Memory``) only bounds its patience and records what happened.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.topology import (
    ChangeStatus,
    ClusterConfiguration,
    OperationKind,
    PendingChange,
    ReadinessState,
    change_status,
    formation,
)
from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.polling import Wait
from lifecycle.errors import (
    ChangeNotCompleted,
    ChangeStuck,
    LifecycleError,
    ManagementUnavailable,
    ScalingRefused,
    StabilizationTimeout,
    TasksNotPlaced,
)
from lifecycle.operation.steps import CLUSTER_CHANGE, TASKS_START, TASKS_STOP, VERIFICATION
from lifecycle.scaling.preconditions import (
    JOINING_IS_REMOVED,
    failed,
    idle_is_ready,
    preconditions,
    refusal_text,
    unsupported,
)
from lifecycle.scaling.table import Case, Change, Count, Members, Row, Step, read_case, row_for
from lifecycle.services.brokers import (
    BrokersSeen,
    direction,
    holders,
    incomplete_change,
    leads_to,
    left_unfinished,
    orphaned_tasks,
    tasks_of_brokers,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lifecycle.scaling.preconditions import ScalingContext
    from lifecycle.services.brokers import BrokerService, BrokerTask

# --- what is remembered between two looks --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Memory:
    """What one operation remembers between two looks; all of it may be lost without harm.

    ``before``: brokers at the first look. ``back_to``: where the count goes when what was begun
    cannot be gone on with, 0 for nowhere. ``survivors``: broker by task id at the time the count
    was lowered. ``waited`` is how long the present action or wait has lasted.
    ``backup`` is the id of the backup that was taken after partitions were added: 0 for none yet,
    -1 for one that Camunda did not take.
    """

    before: int = -1
    begun: bool = False
    back_to: int = 0
    change_id: int | None = None
    operations: int = 0
    survivors: Mapping[str, int] = field(default_factory=dict)
    waited: Wait | None = None
    backup: int = 0
    notes: tuple[str, ...] = ()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Memory:
        """Read it as the state machine carries it; empty at the first look."""
        waited, notes = Wait.read(state.get("waited")), tuple(state.get("notes", ()))
        return cls(**{**state, "waited": waited, "notes": notes})

    def as_state(self) -> dict[str, Any]:
        """Return it as the state machine carries it."""
        return {**asdict(self), "notes": list(self.notes)}

    def noting(self, note: str) -> Memory:
        """Remember something to be reported at the end, once."""
        return self if note in self.notes else replace(self, notes=(*self.notes, note))


PHASE: Final = {
    Step.RAISE: TASKS_START,
    Step.CHANGE: CLUSTER_CHANGE,
    Step.FOLLOW: CLUSTER_CHANGE,
    Step.LOWER: TASKS_STOP,
    Step.SETTLE: VERIFICATION,
}


class Action(StrEnum):
    """What the state machine does next."""

    SET_COUNT = "SET_COUNT"
    CHANGE_BROKERS = "CHANGE_BROKERS"
    CHANGE_PARTITIONS = "CHANGE_PARTITIONS"
    BACK_UP = "BACK_UP"
    PROTECT = "PROTECT"
    UNPROTECT = "UNPROTECT"
    WAIT = "WAIT"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Decision:
    """The next action, why, and what to remember.

    ``count`` is for ``SET_COUNT``; ``tasks`` (ids) for ``PROTECT``, ``UNPROTECT``, and for a
    ``SET_COUNT`` that lowers: who must be protected for it. ``wait`` is in seconds, ``phase`` one
    of ``STEPS`` of ``scale``. ``moves`` shows that the action begins a move of data, before which
    there has to be a backup; an action that restores or completes something begins none.
    """

    action: Action
    reason: str
    memory: Memory
    count: int = 0
    tasks: tuple[str, ...] = ()
    wait: int = 1
    checks: tuple[Check, ...] = ()
    phase: str = ""
    moves: bool = False


# --- the decision --------------------------------------------------------------------------------

# Seconds. Tasks that wait for a node id are never healthy: ECS replaces them after minutes, so
# what does not run by then will not.
TASKS_PATIENCE: Final = 10 * 60
# Each gateway hears of the others' brokers and partitions in its own time.
GOSSIP_PATIENCE: Final = 20
_GOSSIP: Final = frozenset({"every broker runs", "partitions healthy", "one version"})
HEALTH_PATIENCE: Final = 5 * 60
CHANGE_PATIENCE: Final = 15 * 60
SETTLE_PATIENCE: Final = 15 * 60
FRESH_PATIENCE: Final = 2 * 60
ANSWER_PATIENCE: Final = 60
_RENEW_BELOW: Final = 5 * 60
_MOST_REPEATS: Final = 5
AGAIN: Final = "Start the same request again; it resumes where it stopped."


def next_look(looks: int) -> int:
    """Seconds until the next look, after ``looks`` at the same thing: 1, 1, 1, 2, 2, 3 … 15.

    An unchanged state is found out at most a third of its duration late.
    """
    return min(15, max(1, int(1.35 ** (looks - 1))))


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything one decision rests on. ``now`` is in epoch seconds.

    ``targets`` gives the state of each target by address, for each target group by its name; a
    group that the cluster does not have is absent. ``parameters`` are those of the cluster's stack.
    """

    service: BrokerService
    brokers: BrokersSeen
    surroundings: ScalingContext
    partitions: int
    replication_factor: int
    now: int
    targets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


def decide(observed: Observed, requested: int, memory: Memory) -> Decision:
    """Decide the next action towards ``requested`` brokers.

    Raises ``ScalingRefused`` (nothing was changed by this look), ``TasksNotPlaced``,
    ``ChangeStuck``, ``ChangeNotCompleted``, ``StabilizationTimeout``, ``ManagementUnavailable``.
    """
    return Decider(observed, requested, memory).decide()


@dataclass(frozen=True, slots=True)
class Decider:
    """One decision towards ``requested`` brokers, and the parts that any scaling shares."""

    observed: Observed
    requested: int
    memory: Memory

    @property
    def brokers(self) -> int:
        """Brokers that there are to be at the end."""
        return self.requested

    @property
    def partitions(self) -> int:
        """Partitions that there are to be at the end."""
        return self.observed.partitions

    @property
    def copies(self) -> int:
        """Copies that each partition is to have."""
        return self.observed.replication_factor

    def decide(self) -> Decision:
        """Decide; raises as the function ``decide`` does."""
        configuration = self.observed.brokers.configuration
        if configuration is None or not self.observed.brokers.sufficient:
            return self._unreachable()
        if configuration.unsupported:
            raise ScalingRefused(refusal_text([unsupported(configuration)]))
        case = read_case(configuration, self.observed.service.desired, self.requested, self.copies)
        memory = self.memory
        if memory.before < 0:
            memory = replace(memory, before=case.brokers)
        # From the first task that was requested until the change was accepted, there is a way back.
        back = case.change is Change.NONE and case.members is Members.FEWER
        memory = replace(memory, back_to=case.brokers if back else 0)
        decider = replace(self, memory=memory)
        row = row_for(case.change, case.members, case.count)
        if row.step is Step.REFUSE:
            raise ScalingRefused(refusal_text([refused_by_table(case, configuration, row)]))
        decision = decider._take(row.step, case, configuration)
        return decision if decision.phase else replace(decision, phase=PHASE[row.step])

    def _take(self, step: Step, case: Case, configuration: ClusterConfiguration) -> Decision:
        match step:
            case Step.RAISE:
                return self._raise(case)
            case Step.CHANGE:
                return self._change(case, configuration)
            case Step.FOLLOW:
                return self._follow(configuration)
            case Step.LOWER:
                return self._lower(configuration)
            case _:
                return self._settle(configuration)

    # One method per step

    def _unreachable(self) -> Decision:
        service, topology = self.observed.service, self.observed.brokers.topology
        size = topology.cluster_size if topology is not None else None
        if size is not None and service.desired < size:
            # The count was lowered manually, and it hit the coordinator: only its return helps.
            return self._act(
                Action.SET_COUNT,
                f"desired count {service.desired} → {size}: brokers have lost their tasks",
                count=size,
            )
        outside = orphaned_tasks(service, topology, range(size)) if size is not None else ""
        reasons = [*self.observed.brokers.problems, *([outside] if outside else [])]
        problems = "; ".join(reasons) or "no broker responded"
        if self.memory.change_id is not None:
            error: LifecycleError = ChangeStuck(
                f"Change {self.memory.change_id} cannot be followed: {problems}",
                next_step="The change was left pending. Restore broker 0, the coordinator (check "
                f"its task and its log). {AGAIN}",
            )
            return self._wait("no answer", problems, CHANGE_PATIENCE, error)
        return self._wait("no answer", problems, ANSWER_PATIENCE, ManagementUnavailable(problems))

    def _raise(self, case: Case) -> Decision:
        begins = case.change is Change.NONE and case.members is Members.FEWER
        if begins:
            checks = self._checks(out=True, raised=False)
            refused = self._refused(checks, back_to=self._back_to(case))
            if refused is not None:
                return refused
        decision = self._act(
            Action.SET_COUNT,
            f"desired count {case.desired} → {case.higher}",
            count=case.higher,
        )
        return replace(decision, moves=begins)

    def _change(self, case: Case, configuration: ClusterConfiguration) -> Decision:
        sent = self._after_sending(case, configuration)
        if sent is not None:
            return sent
        service = self.observed.service
        running = len(service.running)
        if case.members is Members.FEWER and running < case.requested:
            text = f"{running} of {case.requested} tasks run with an address"
            error = TasksNotPlaced(
                f"Tasks for the new brokers failed to start: {text}{listed(service.troubles)}. "
                "Camunda's configuration was not changed.",
                next_step="Fix the cause (quota, capacity of the zones, subnet addresses, image, "
                "network) and start the same request again.",
            )
            # ECS retries automatically. Capacity comes back; a start that failed twice fails again.
            if len(service.failures) >= 2:
                raise error
            return self._wait("tasks", text, TASKS_PATIENCE, error)
        out = case.members is Members.FEWER
        checks = self._checks(out=out, raised=out)
        plan = self.observed.brokers.plan
        if case.members is Members.UNFINISHED:
            left = "; ".join(left_unfinished(configuration, plan, self.copies))
            if left and case.count is Count.ABOVE:
                # Only another request finishes it, and that one needs counts that agree.
                return replace(self._lower(configuration), phase=PHASE[Step.LOWER])
            if left:
                return self._wait("half-done", left, HEALTH_PATIENCE, _unfinished(left))
            checks = tuple(check for check in checks if check.name not in _NOT_WHEN_UNFINISHED)
        refused = self._refused(checks, back_to=self._back_to(case))
        if refused is not None:
            return refused
        operations = len(plan.operations) if plan is not None else 0
        decision = self._act(
            Action.CHANGE_BROKERS,
            f"{case.brokers} → {case.requested} brokers, {operations} operations",
        )
        return replace(
            decision,
            memory=replace(decision.memory, operations=operations),
            moves=case.members is not Members.UNFINISHED,
        )

    def _after_sending(self, case: Case, configuration: ClusterConfiguration) -> Decision | None:
        """Judge the change that this operation sent, when it is no longer (or not yet) there."""
        change = self.memory.change_id
        if change is None:
            return None
        status = change_status(configuration, change)
        if status is ChangeStatus.COMPLETED and case.members is Members.UNFINISHED:
            raise _unfinished("; ".join(incomplete_change(configuration, self.copies)))
        error = ChangeNotCompleted(
            f"Change {change} ended as {status}, and the brokers are not as requested.",
            next_step=f"Find out who cancelled or replaced it. {AGAIN}",
        )
        if status is ChangeStatus.UNKNOWN:
            text = f"change {change} is not visible yet"
            return self._wait("visible", text, ANSWER_PATIENCE, error)
        raise error

    def _follow(self, configuration: ClusterConfiguration) -> Decision:
        pending = configuration.pending_change
        if pending is None:  # the table follows only what is there
            raise AssertionError
        total = len(pending.completed) + len(pending.pending)
        memory = replace(
            self.memory,
            begun=True,
            change_id=pending.id,
            operations=total,
        )
        text = progress_of(pending)
        blocker = _blocker(pending, self.observed)
        error = ChangeStuck(
            f"Change {pending.id} made no progress for {CHANGE_PATIENCE // 60} minutes: {text}. "
            f"{blocker}",
            next_step="The change was left pending; never cancel or force it. Restore that "
            f"broker (check its task, its log, its disk). {AGAIN}",
        )
        # Replicas that move count as progress too, though they take minutes within one operation.
        versions = sum(member.version or 0 for member in configuration.members)
        stage = f"change {pending.id}: {len(pending.completed)} done, {versions}"
        return replace(self, memory=memory)._wait(stage, text, CHANGE_PATIENCE, error)

    def _lower(self, configuration: ClusterConfiguration) -> Decision:
        self._require_completed(configuration)
        service = self.observed.service
        found = tasks_of_brokers(service, self.observed.brokers.topology)
        staying = {node: task for node, task in found.items() if node < self.requested}
        ids = {task.task_id for task in staying.values()}
        if len(ids) < self.requested:
            missing = [node for node in range(self.requested) if node not in staying]
            text = f"the task of broker {_joined(missing)} is unknown"
            error = StabilizationTimeout(
                f"The count was not lowered from {service.desired} to {self.requested}, because "
                f"{text}: ECS could have stopped a broker that holds partitions.",
                next_step=f"Restore that broker. {AGAIN}",
            )
            return self._wait("survivors", text, SETTLE_PATIENCE, error)
        stale = [task for task in service.protected if task.task_id not in ids]
        if stale:
            return self._act(
                Action.UNPROTECT, "protection of tasks that are to go", tasks=_ids(stale)
            )
        unprotected = self._needing_protection(staying.values())
        if unprotected:
            return self._act(Action.PROTECT, f"{len(ids)} remaining tasks", tasks=_ids(unprotected))
        decision = self._act(
            Action.SET_COUNT,
            f"desired count {service.desired} → {self.requested}",
            count=self.requested,
            tasks=tuple(sorted(ids)),
        )
        survivors = {task.task_id: node for node, task in staying.items()}
        return replace(decision, memory=replace(decision.memory, survivors=survivors))

    def _settle(self, configuration: ClusterConfiguration) -> Decision:
        self._require_completed(configuration)
        service, memory = self.observed.service, self.memory
        wanted = [task for task in service.tasks if task.wanted]
        if len(wanted) > self.requested:
            surviving = [task for task in wanted if task.task_id in memory.survivors]
            renew = self._needing_protection(surviving)
            if renew:
                decision = self._act(Action.PROTECT, "until ECS is done", tasks=_ids(renew))
                return replace(decision, phase=PHASE[Step.LOWER])
            text = f"ECS stops {len(wanted) - self.requested} tasks"
            error = StabilizationTimeout(
                f"ECS still runs {len(wanted)} tasks with a desired count of {self.requested}.",
                next_step=f"Check the service's events. {AGAIN}",
            )
            decision = self._wait("stopping", text, SETTLE_PATIENCE, error)
            return replace(decision, phase=PHASE[Step.LOWER])
        for task_id, node in memory.survivors.items():
            if task_id not in {task.task_id for task in wanted}:
                memory = memory.noting(
                    f"ECS stopped the task of broker {node}, although it was protected; the "
                    "operation waited until the cluster had recovered"
                )
        decider = replace(self, memory=memory)
        if service.protected:
            decision = decider._act(Action.UNPROTECT, "ECS is done", tasks=_ids(service.protected))
            return replace(decision, phase=PHASE[Step.LOWER])
        return decider._finish(configuration)

    def _finish(self, configuration: ClusterConfiguration) -> Decision:
        problems = self._unsettled(configuration)
        if problems:
            text = "; ".join(problems[:3])
            error = StabilizationTimeout(
                f"{self.brokers} brokers are configured, but did not stabilise: "
                f"{'; '.join(problems)}.",
                next_step=f"Check the tasks and logs of the brokers named. {AGAIN}",
            )
            patience = SETTLE_PATIENCE if self.memory.begun else FRESH_PATIENCE
            return self._wait("settling", text, patience, error)
        decision = Decision(Action.DONE, f"{self.requested} brokers", self.memory)
        return replace(decision, checks=self._report(configuration))

    def _unsettled(self, configuration: ClusterConfiguration) -> list[str]:
        running = len(self.observed.service.running)
        problems = []
        if running < self.brokers:
            problems.append(f"{running} of {self.brokers} tasks run")
        problems += self.observed.brokers.problems
        formed = formation(
            configuration,
            self.observed.brokers.topology,
            brokers=self.brokers,
            partitions=self.partitions,
            replication_factor=self.observed.replication_factor,
        )
        problems += formed.problems
        known = {one.address: one for one in self.observed.brokers.readiness}
        found = tasks_of_brokers(self.observed.service, self.observed.brokers.topology)
        for node in sorted(holders(configuration), key=str):
            task = found.get(node) if isinstance(node, int) else None
            if task is None:
                problems.append(f"broker {node} is not at the address of a running task")
                outside = orphaned_tasks(
                    self.observed.service,
                    self.observed.brokers.topology,
                    configuration.broker_ids,
                )
                problems += [outside] if outside and outside not in problems else []
                continue
            ready = known.get(task.address)
            if ready is None or ready.state is not ReadinessState.READY:
                why = f": {ready.detail}" if ready is not None and ready.detail else ""
                problems.append(f"broker {node} is not ready{why}")
            # A target is `initial` for minutes behind a Network Load Balancer, see
            # https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
            problems += [
                f"the {group} target of broker {node} is {states.get(task.address, 'missing')}"
                for group, states in self.observed.targets.items()
                if states.get(task.address) != "healthy"
            ]
        return problems

    def _report(self, configuration: ClusterConfiguration) -> tuple[Check, ...]:
        checks = [
            Check(
                "brokers and partitions",
                Result.PASS,
                f"{self.brokers} brokers, {self.partitions} partitions, each with one "
                "healthy leader and all replicas; every broker with partitions is ready",
            )
        ]
        plan = self.observed.brokers.plan
        if plan is not None and plan.is_noop:
            checks.append(Check("placement", Result.PASS, "as Camunda plans it"))
        else:
            seen = "; ".join(map(str, plan.operations[:5])) if plan is not None else "not known"
            checks.append(
                Check(
                    "placement",
                    Result.WARN,
                    f"Camunda's plan still contains: {seen}",
                    "Check the placement; a new request for another count corrects it.",
                )
            )
        return (*checks, *self._beside(configuration))

    # Common parts

    def _beside(self, configuration: ClusterConfiguration) -> list[Check]:
        """What a report adds to the result: brokers that hold nothing, and what happened."""
        idle = [
            member.id for member in configuration.members if member.id not in holders(configuration)
        ]
        checks = []
        if idle:
            lost = "" if idle_is_ready(self.observed.brokers.topology) else _REPLACED_FOR_EVER
            checks.append(
                Check(
                    "brokers without partitions",
                    Result.WARN,
                    f"broker {_joined(idle)} holds none: there are not enough partitions{lost}",
                    "Request fewer brokers, or add partitions.",
                )
            )
        return checks + [
            Check("notes", Result.WARN, note, "No action required.") for note in self.memory.notes
        ]

    def _require_completed(self, configuration: ClusterConfiguration) -> None:
        """Raise when the change that was followed did not end well, though brokers are there."""
        change = self.memory.change_id
        status = None if change is None else change_status(configuration, change)
        if status in (ChangeStatus.FAILED, ChangeStatus.CANCELLED):
            raise ChangeNotCompleted(
                f"Change {change} ended as {status}; task counts and protection were left alone.",
                next_step=f"Find out who cancelled it. {AGAIN}",
            )

    def _refused(self, checks: tuple[Check, ...], *, back_to: int) -> Decision | None:
        """Refuse, or wait for what may only look wrong; None when every check is passed."""
        text = refusal_text(checks)
        if not text:
            return None
        error = ScalingRefused(text)
        if self.memory.begun:
            return self._wait("health", text, HEALTH_PATIENCE, error)
        if not {check.name for check in checks if check.result is Result.FAIL} <= _GOSSIP:
            raise error
        decider = replace(self, memory=replace(self.memory, back_to=back_to))
        return decider._wait("gossip", text, GOSSIP_PATIENCE, error)

    def _back_to(self, case: Case) -> int:
        """Where the count goes on a refusal: nowhere while nothing was requested yet."""
        return 0 if case.desired == case.brokers else self.memory.back_to

    def _checks(self, *, out: bool, raised: bool) -> tuple[Check, ...]:
        observed = self.observed
        return preconditions(
            service=observed.service,
            brokers=observed.brokers,
            surroundings=observed.surroundings,
            requested=self.requested,
            partitions=observed.partitions,
            replication_factor=observed.replication_factor,
            out=out,
            begun=self.memory.begun or raised,
        )

    def _needing_protection(self, tasks: Iterable[BrokerTask]) -> list[BrokerTask]:
        soon = self.observed.now + _RENEW_BELOW
        return [task for task in tasks if task.protected_until < soon]

    def _act(
        self, action: Action, reason: str, *, count: int = 0, tasks: tuple[str, ...] = ()
    ) -> Decision:
        stage = f"{action}: {reason}"
        now = self.observed.now
        wait = Wait.at(stage, now, self.memory.waited)
        looks = wait.looks
        if looks > _MOST_REPEATS:
            raise StabilizationTimeout(
                f"No effect after {_MOST_REPEATS} attempts: {reason}.",
                next_step=f"Check the events of service {self.observed.service.name}. {AGAIN}",
            )
        memory = replace(self.memory, begun=True, waited=replace(wait, since=now))
        # Protection is there at once; only if it is not, a moment is given.
        at_once = action in (Action.PROTECT, Action.UNPROTECT) and looks == 1
        seconds = 0 if at_once else next_look(looks)
        return Decision(action, reason, memory, count=count, tasks=tasks, wait=seconds)

    def _wait(self, stage: str, reason: str, patience: int, error: LifecycleError) -> Decision:
        now = self.observed.now
        wait = Wait.at(stage, now, self.memory.waited)
        if wait.lasted(patience, now):
            raise error
        memory = replace(self.memory, waited=wait)
        return Decision(Action.WAIT, reason, memory, wait=next_look(wait.looks))


def _unfinished(left: str) -> StabilizationTimeout:
    return StabilizationTimeout(
        f"Camunda's plan does not complete the cancelled change: {left}.",
        next_step="Request the number of brokers that the cancelled change led to: only that "
        f"completes it. {JOINING_IS_REMOVED}",
    )


def refused_by_table(case: Case, configuration: ClusterConfiguration, row: Row) -> Check:
    """Return the check that a case fails which the table refuses."""
    pending = configuration.pending_change
    if pending is not None:
        return failed(
            "no other cluster change",
            f"change {pending.id} is under way and {direction(configuration)}: "
            f"{progress_of(pending)} ({row.why})",
        )
    if case.members is Members.GAP:
        ids = _joined(configuration.broker_ids)
        return failed("broker ids without a gap", f"the brokers are {ids} ({row.why})")
    return failed("counts agree", f"{case} ({row.why})")


_REPLACED_FOR_EVER: Final = (
    "; below Camunda 8.10 it is never ready, and ECS replaces its task repeatedly"
)

# What a half-done change leaves behind is what finishing it repairs.
_NOT_WHEN_UNFINISHED: Final = frozenset(
    {"no half-done change", "every partition takes requests", "partitions healthy"}
)


def progress_of(pending: PendingChange) -> str:
    """Return how far a change is, and what is next."""
    done, total = len(pending.completed), len(pending.completed) + len(pending.pending)
    following = f"; next {pending.pending[0]}" if pending.pending else ""
    return f"{done} of {total} operations done{following}"


def _blocker(pending: PendingChange, observed: Observed) -> str:
    """Describe the broker that the change waits for."""
    if not pending.pending:
        return "No operation is pending."
    first = pending.pending[0]
    if first.kind in (OperationKind.PRE_SCALING, OperationKind.POST_SCALING):
        node: object = min((m for m in _seen_ids(observed)), default=0)
    else:
        node = first.broker
    if node is None:
        return "Camunda does not report which broker executes it."
    found = tasks_of_brokers(observed.service, observed.brokers.topology)
    if isinstance(node, int) and node in found:
        task = found[node]
        return f"It waits for broker {node}, which runs in task {task.task_id} ({task.address})."
    seen = node in _seen_ids(observed)
    return (
        f"It waits for broker {node}, which "
        + (
            "is in the topology, but not at the address of a running task."
            if seen
            else ("is not in the topology.")
        )
        + (f" Meanwhile {outside}." if (outside := _outside(observed)) else "")
        + listed(observed.service.troubles)
    )


def _outside(observed: Observed) -> str:
    """Describe tasks of brokers that neither are members nor become some by the pending change."""
    configuration = observed.brokers.configuration
    if configuration is None:
        return ""
    members = {*configuration.broker_ids, *(leads_to(configuration) or ())}
    return orphaned_tasks(observed.service, observed.brokers.topology, members)


def _seen_ids(observed: Observed) -> list[Any]:
    topology = observed.brokers.topology
    return [broker.node_id for broker in topology.brokers] if topology is not None else []


def listed(failures: Sequence[str]) -> str:
    """Return the first failures in brackets; nothing when there are none."""
    return f" ({'; '.join(failures[:3])})" if failures else ""


def _joined(items: Sequence[object]) -> str:
    return ", ".join(map(str, items))


def _ids(tasks: Sequence[BrokerTask]) -> tuple[str, ...]:
    return tuple(sorted(task.task_id for task in tasks))
