"""Scaling partitions: what was observed x what is requested -> what is done next.

As with brokers the choreography is one decision, taken again after every step; see
``scaling/decision.py``, whose parts are used, and ``scaling/partition_table.py``. Facts:
https://docs.camunda.io/docs/self-managed/components/orchestration-cluster/zeebe/operations/cluster-scaling/
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from lifecycle.camunda.topology import ChangeStatus, ClusterConfiguration, change_status
from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.polling import Wait
from lifecycle.errors import ChangeNotCompleted, ScalingRefused, StabilizationTimeout
from lifecycle.operation.steps import CLUSTER_CHANGE, TASKS_START, VERIFICATION
from lifecycle.scaling.decision import (
    AGAIN,
    ANSWER_PATIENCE,
    FRESH_PATIENCE,
    SETTLE_PATIENCE,
    Action,
    Decider,
    Decision,
    Memory,
    Observed,
    progress_of,
)
from lifecycle.scaling.partition_table import (
    Case,
    Partitions,
    Row,
    Step,
    read_case,
    row_for,
    unfinished,
)
from lifecycle.scaling.preconditions import (
    failed,
    partition_preconditions,
    refusal_text,
    unsupported,
)
from lifecycle.services.brokers import direction, held_partitions, leads_to, span

# Seconds. A primary backup of a large cluster takes minutes; the report then mentions it.
BACKUP_PATIENCE: Final = 15 * 60
_ENDED_BADLY: Final = frozenset({"FAILED", "INCOMPATIBLE", "DELETED"})
_BACKUP: Final = "backup of all partitions"
_TAKE_ONE: Final = (
    "Wait for the next scheduled backup (BackupSchedule); if there is none, provision with "
    "ContinuousBackup true. The health check reports an overdue backup (BACKUP_OLD)."
)
_PHASE: Final = {
    Step.RAISE: TASKS_START,
    Step.CHANGE: CLUSTER_CHANGE,
    Step.FOLLOW: CLUSTER_CHANGE,
    Step.SETTLE: VERIFICATION,
}


def decide_partitions(observed: Observed, requested: int, memory: Memory) -> Decision:
    """Decide the next action towards ``requested`` partitions.

    Raises ``ScalingRefused`` (nothing was changed by this look), ``ChangeStuck``,
    ``ChangeNotCompleted``, ``StabilizationTimeout``, ``ManagementUnavailable``.
    """
    return PartitionDecider(observed, requested, memory).decide()


@dataclass(frozen=True, slots=True)
class PartitionDecider(Decider):
    """One decision towards ``requested`` partitions on the brokers that there are."""

    @property
    def brokers(self) -> int:
        """Brokers that there are, and stay."""
        configuration = self.observed.brokers.configuration
        return span(configuration) if configuration is not None else 0

    @property
    def partitions(self) -> int:
        """Partitions that there are to be at the end."""
        return self.requested

    def decide(self) -> Decision:
        """Decide; raises as the function ``decide_partitions`` does."""
        configuration = self.observed.brokers.configuration
        if configuration is None or not self.observed.brokers.sufficient:
            return self._unreachable()
        if configuration.unsupported:
            raise ScalingRefused(refusal_text([unsupported(configuration)]))
        case = read_case(configuration, self.observed.service.desired, self.requested, self.copies)
        memory = replace(self.memory, back_to=0)
        if memory.before < 0:
            memory = replace(memory, before=case.active)
        decider = replace(self, memory=memory)
        row = row_for(case.change, case.partitions, case.count)
        if row.step is Step.REFUSE:
            raise ScalingRefused(refusal_text([refused_by_partitions(case, configuration, row)]))
        decision = decider._next(row.step, case, configuration)
        return replace(decision, phase=_PHASE[row.step])

    def _next(self, step: Step, case: Case, configuration: ClusterConfiguration) -> Decision:
        match step:
            case Step.RAISE:
                reason = f"desired count {case.desired} → {case.brokers}"
                return self._act(Action.SET_COUNT, reason, count=case.brokers)
            case Step.CHANGE:
                return self._add(case, configuration)
            case Step.FOLLOW:
                return self._follow(configuration)
            case _:
                return self._see(configuration)

    def _add(self, case: Case, configuration: ClusterConfiguration) -> Decision:
        sent = self._after_adding(configuration)
        if sent is not None:
            return sent
        checks = partition_preconditions(
            self.observed, requested=self.requested, active=case.active
        )
        refused = self._refused(checks, back_to=0)
        if refused is not None:
            return refused
        plan = self.observed.brokers.plan
        if plan is None or plan.is_noop:
            left = "; ".join(unfinished(configuration, self.copies)) or str(case)
            raise StabilizationTimeout(
                f"Camunda's plan does not complete the cancelled change: {left}.",
                next_step="Contact Camunda's support: the routing state needs a repair that this "
                "product does not do.",
            )
        decision = self._act(
            Action.CHANGE_PARTITIONS,
            f"{case.active} → {case.requested} partitions, {len(plan.operations)} operations",
        )
        return replace(
            decision,
            memory=replace(decision.memory, operations=len(plan.operations)),
            moves=case.partitions is Partitions.FEWER,
        )

    def _after_adding(self, configuration: ClusterConfiguration) -> Decision | None:
        """Judge the change that this operation sent, when it is no longer (or not yet) there."""
        change = self.memory.change_id
        if change is None:
            return None
        status = change_status(configuration, change)
        error = ChangeNotCompleted(
            f"Change {change} ended as {status}, and the partitions are not as requested.",
            next_step=f"Find out who cancelled or replaced it. {AGAIN}",
        )
        if status is ChangeStatus.UNKNOWN:
            return self._wait(
                "visible", f"change {change} is not visible yet", ANSWER_PATIENCE, error
            )
        raise error

    def _see(self, configuration: ClusterConfiguration) -> Decision:
        self._require_completed(configuration)
        problems = self._unsettled(configuration)
        if problems:
            error = StabilizationTimeout(
                f"{self.requested} partitions are configured, but did not stabilise: "
                f"{'; '.join(problems)}.",
                next_step=f"Check the tasks and logs of the brokers named. {AGAIN}",
            )
            patience = SETTLE_PATIENCE if self.memory.begun else FRESH_PATIENCE
            return self._wait("settling", "; ".join(problems[:3]), patience, error)
        backup = self._back_up()
        if isinstance(backup, Decision):
            return backup
        decision = Decision(Action.DONE, f"{self.requested} partitions", self.memory)
        return replace(decision, checks=(*self._told(configuration), backup))

    def _back_up(self) -> Decision | Check:
        """Take a backup that holds the new partitions, or report the state of backups.

        It is needed when this operation added partitions, or one that was interrupted did: then a
        partition has none yet.
        """
        seen, memory = self.observed.brokers.backups, self.memory
        if seen is None or not seen.enabled:
            text = (
                f"continuous backup is disabled: no backup of all {self.requested} partitions was "
                "taken"
            )
            return Check(_BACKUP, Result.WARN, text, _TAKE_ONE)
        if memory.backup < 0:
            return Check(
                _BACKUP, Result.WARN, ("Camunda did not take a backup on request"), _TAKE_ONE
            )
        if memory.backup == 0:
            covered = frozenset(range(1, self.requested + 1)) <= seen.covered
            if covered and memory.change_id is None:
                return Check(_BACKUP, Result.PASS, "every partition has one")
            return self._act(Action.BACK_UP, f"a backup of all {self.requested} partitions")
        if seen.requested == "COMPLETED":
            return Check(
                _BACKUP,
                Result.PASS,
                f"backup {memory.backup} of all {self.requested} partitions is complete; a backup "
                "with fewer partitions can be restored only into that number",
            )
        text = f"backup {memory.backup} is {seen.requested or 'not known'}"
        now = self.observed.now
        waited = Wait.at(_BACKUP, now, memory.waited)
        if seen.requested in _ENDED_BADLY or waited.lasted(BACKUP_PATIENCE, now):
            return Check(_BACKUP, Result.WARN, text, _TAKE_ONE)
        # Over before its patience is: the report shows its state instead.
        error = StabilizationTimeout(f"{text}.", next_step=_TAKE_ONE)
        return self._wait(_BACKUP, text, BACKUP_PATIENCE, error)

    def _told(self, configuration: ClusterConfiguration) -> tuple[Check, ...]:
        checks = [
            Check(
                "brokers and partitions",
                Result.PASS,
                f"{self.brokers} brokers, {self.requested} partitions, each with one healthy "
                "leader and all replicas, all of them take requests; every broker with partitions "
                "is ready",
            )
        ]
        kept = self.observed.parameters.get("Partitions")
        if kept is not None and kept != str(self.requested):
            checks.append(
                Check(
                    "number of partitions",
                    Result.PASS,
                    f"Camunda keeps it; the stack's parameter Partitions, {kept}, is updated by "
                    "the next plan or provisioning",
                )
            )
        return (*checks, *self._beside(configuration))


def refused_by_partitions(case: Case, configuration: ClusterConfiguration, row: Row) -> Check:
    """Return the check that a case fails which the table of partitions refuses."""
    pending = configuration.pending_change
    if pending is not None:
        name = "no other change of partitions"
        if leads_to(configuration) != frozenset(configuration.broker_ids):
            name = "no other cluster change"
        return failed(
            name,
            f"change {pending.id} is under way and {direction(configuration)}: "
            f"{progress_of(pending)} ({row.why})",
        )
    if case.partitions is Partitions.MORE:
        there = held_partitions(configuration)
        return failed("partitions only grow", f"there are {there} ({row.why})")
    return failed("counts agree", f"{case} ({row.why})")
