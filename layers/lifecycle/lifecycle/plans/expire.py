"""Remove an expired plan: its change set, and the stack if it never held anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.stack import is_running
from lifecycle.cluster.stack_decisions import stack_policy
from lifecycle.errors import ClusterBusy, PlanNotFound
from lifecycle.operation.journal import acquire, acting
from lifecycle.operation.model import FUNCTION_SECONDS, Lock
from lifecycle.plans.fingerprint import read_description
from lifecycle.provisioning.change_set_owner import is_made_by
from lifecycle.times import epoch

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Clock, Stacks
    from lifecycle.cluster.stack import ChangeSet
    from lifecycle.operation.ports import Executions, Locks


@dataclass(frozen=True, slots=True)
class Discarder:
    """The use case with what it needs from outside."""

    stacks: Stacks
    locks: Locks
    executions: Executions
    clock: Clock

    def discard(
        self, *, cluster: str, stack: str, change_set: str, operation_id: str = ""
    ) -> dict[str, Any]:
        """Remove what a plan left; returns ``changeSet`` and ``stack``, whether each was removed.

        ``operation_id`` made the plan. A schedule of an earlier version does not name it, and means
        any plan of that name.
        What was executed or is being worked on is left alone. Repeating it is harmless.
        """
        present = self.stacks.describe(stack)
        if present is None:
            return {"changeSet": False, "stack": False}
        found = self.stacks.change_set(change_set, stack)
        removed = found.status not in {"GONE", "EXECUTED"} and _is_plan(found, operation_id)
        if removed:
            self.stacks.delete_change_set(found.arn)
        owner = f"discard:{change_set}"
        if not self._take(stack, owner):
            return {"changeSet": removed, "stack": False}
        try:
            present = self.stacks.describe(stack)
            shell = (
                present is not None
                and present.status == "REVIEW_IN_PROGRESS"
                and not self.stacks.change_sets_of(stack)
            )
            if present is not None and shell:
                # By id: a stack that was made anew under the name is another one.
                self.stacks.delete(present.stack_id, change_set)
            elif (
                present is not None
                and present.termination_protected
                and not is_running(present.status)
            ):
                # An execution that was killed may have left the policy open for its plan's data.
                self.stacks.set_policy(stack, stack_policy())
        finally:
            self.locks.release(stack, owner)
        return {"changeSet": removed, "stack": shell}

    def _take(self, ecs_cluster: str, owner: str) -> bool:
        """Keep an operation from beginning on the stack while it is being deleted."""
        now = epoch(self.clock.now())
        here = frozenset({acting(self.clock)})
        lock = Lock(ecs_cluster, owner, owner, now + FUNCTION_SECONDS, now, here)
        try:
            acquire(lock, self.locks, self.executions, self.clock)
        except ClusterBusy:
            return False
        return True


def _is_plan(found: ChangeSet, operation_id: str) -> bool:
    if operation_id:
        return is_made_by(found, operation_id)
    try:
        read_description(found.description)
    except PlanNotFound:
        return False
    return True
