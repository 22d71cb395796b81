"""Take up a reviewed plan for execution: exactly its change set, and only while it still holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.cluster.polling import next_wait
from lifecycle.cluster.stack import is_done, present_parameters
from lifecycle.cluster.stack_decisions import StackAction, decide_on, refuse_stuck, stack_policy
from lifecycle.errors import PlanNotFound, PlanStale, SecondApproverRequired
from lifecycle.operation.steps import CHANGE_SET
from lifecycle.plans.create import plan_keys
from lifecycle.plans.fingerprint import (
    Fingerprint,
    PlanDescription,
    differences,
    read_description,
    refuse_same_person,
    refuse_stale,
)
from lifecycle.provisioning.change_set import present_settings
from lifecycle.services.definition import unlike_plan
from lifecycle.services.plan import rendered
from lifecycle.services.settings import patched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.cluster.stack import ChangeSet, Stack
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.plans.create import Planner


@dataclass(frozen=True, slots=True)
class PlanAdopter:
    """The use case and its ports."""

    planner: Planner
    journal: Journal
    require_second_approver: bool

    def adopt(
        self,
        operation: Operation,
        *,
        stack: str,
        change_set: str,
        template: bytes,
        database_ca: str,
        polls: int,
    ) -> dict[str, Any]:
        """Check a plan against what is true now; returns what planning in one go would return.

        ``change_set`` is a name or an ARN. A plan that an earlier operation executed is
        ``UNCHANGED`` while the cluster is as it planned, so that what came after the change set
        can be continued. Raises ``PlanNotFound`` for a change set that is not a
        plan of this cluster, ``PlanStale`` naming what differs, ``SecondApproverRequired``,
        ``ClusterFrozen`` and ``StackNotUsable``.
        """
        self.journal.step(operation, CHANGE_SET, "checking the plan against the current state")
        found = self.planner.stacks.change_set(change_set, stack)
        if found.status == "GONE":
            raise PlanNotFound(f"There is no change set {change_set}: {found.reason}.")
        if found.stack != stack:
            raise PlanNotFound(f"The change set belongs to stack {found.stack}, not to {stack}.")
        mark = read_description(found.description)
        plan = self._report(operation.cluster, found, mark)
        present = self.planner.stacks.describe(stack)
        decision = decide_on(present, self.planner.control_stack, operation.cluster)
        refuse_stuck(present, decision)
        if present is not None:
            refuse_if_frozen(stack, present.tags)
        self._refuse_same_person(operation, mark)
        planned = Fingerprint.from_json(plan["fingerprint"])
        if found.status == "EXECUTED":
            if decision.action is StackAction.WAIT:
                return {"status": "BUSY", "wait": next_wait(polls, near_end=False)}
            _refuse_unlike(mark, planned, present)
            return {"status": "UNCHANGED", "services": plan["rendered"]}
        if decision.action is StackAction.WAIT:
            raise PlanStale(f"Plan {mark.operation_id} is stale. {decision.reason}")
        now = self.planner.fingerprint(
            operation.cluster,
            present,
            plan["requested"],
            template=template,
            database_ca=database_ca,
            settings=patched(
                present_settings(self.planner.stacks, present), plan.get("requestedSettings", {})
            ),
        )
        refuse_stale(mark, self.journal.clock.now(), differences(planned, now))
        self._refuse_other_services(operation.cluster, mark, plan, present, found)
        if found.status == "EMPTY":
            return {"status": "UNCHANGED", "services": plan["rendered"]}
        if present is not None and present.termination_protected:
            self.planner.stacks.set_policy(stack, stack_policy())
        return {
            "status": "PLANNED",
            "changeSet": found.arn,
            "creates": decision.action is StackAction.CREATE,
            "replace": plan["replace"],
            "services": plan["rendered"],
        }

    def _refuse_other_services(
        self,
        cluster: str,
        mark: PlanDescription,
        plan: Mapping[str, Any],
        present: Stack | None,
        change_set: ChangeSet,
    ) -> None:
        """Refuse a plan whose change set or services are not those that it has."""
        states, _ = self.planner.services_after(
            cluster,
            present,
            change_set,
            plan["fingerprint"]["parameters"],
            {tag["name"]: tag["to"] for tag in plan["tags"]},
        )
        different = unlike_plan(plan["rendered"], rendered(states))
        changes = [(one["resource"], one["properties"]) for one in plan["changes"]]
        if changes != [(one.logical_id, list(one.properties)) for one in change_set.changes]:
            different.append("the change set's changes differ from its plan")
        refuse_stale(mark, self.journal.clock.now(), different)

    def refuse_alone(self, operation: Operation) -> None:
        """Refuse to plan and apply in one go where a second person is required.

        Raises ``SecondApproverRequired`` for an operation that was started through the API.
        """
        mine = self.journal.operations.find(operation.operation_id, operation.machine)
        if self.require_second_approver and mine is not None and mine.caller:
            raise SecondApproverRequired(
                f"{mine.caller} requested plan and apply in one step; a second approver is "
                "required.",
                next_step="Nothing was changed. Create a plan, and have another person apply it.",
            )

    def _report(
        self, cluster: str, change_set: ChangeSet, mark: PlanDescription
    ) -> Mapping[str, Any]:
        """Read the plan that was stored for exactly this change set."""
        body = self.planner.artifacts.get(plan_keys(cluster, change_set.name)[0])
        plan: dict[str, Any] = json.loads(body) if body is not None else {}
        ours = (
            plan.get("changeSet") == change_set.arn
            and plan.get("status") == "READY"
            and Fingerprint.from_json(plan["fingerprint"]).digest() == mark.digest
        )
        if not ours:
            raise PlanNotFound(
                f"The plan machine has stored no plan for the current change set {change_set.name}."
            )
        planned: Mapping[str, str] = plan["fingerprint"]["parameters"]
        others = [
            name
            for name, value in planned.items()
            if change_set.parameters.get(name, "").strip() != value.strip()
        ]
        if others:
            raise PlanNotFound(
                f"The change set's parameters differ from its plan: {', '.join(sorted(others))}."
            )
        return plan

    def _refuse_same_person(self, operation: Operation, mark: PlanDescription) -> None:
        records = self.journal.operations
        mine = records.find(operation.operation_id, operation.machine)
        if mine is None or not mine.caller:
            return  # started in the console, whose permissions decide who may
        plans = records.find(mark.operation_id, "plan")
        refuse_same_person(
            plans.caller if plans else "",
            mine.caller,
            require_second_approver=self.require_second_approver,
        )


def _refuse_unlike(mark: PlanDescription, planned: Fingerprint, present: Stack | None) -> None:
    """Refuse to continue an executed plan unless the stack is as the plan wanted it."""
    now = present_parameters(present)
    others = sorted(n for n in planned.parameters if now.get(n) != planned.parameters[n])
    if present is None or not is_done(present.status) or others:
        what = (
            f"stack {present.name} is in {present.status}"
            if present
            else ("the stack no longer exists")
        )
        differing = f", with other values of {', '.join(others)}" if present and others else ""
        raise PlanStale(
            f"Plan {mark.operation_id} was already executed; {what}{differing}.",
            next_step="Create a new plan: it contains the remaining changes.",
        )
