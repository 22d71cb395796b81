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
    refuse_stale,
)
from lifecycle.plans.report import change_line
from lifecycle.provisioning.change_set import present_settings
from lifecycle.provisioning.template import template_digest
from lifecycle.services.definition import unlike_plan
from lifecycle.services.plan import rendered
from lifecycle.services.settings import patched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cluster.stack import ChangeSet, Stack
    from lifecycle.operation.approval import SecondApprover
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.plans.create import Planner


@dataclass(frozen=True, slots=True)
class PlanAdopter:
    """The use case and its ports."""

    planner: Planner
    journal: Journal
    approver: SecondApprover

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
        self.journal.look(operation, CHANGE_SET, "checking the plan against the current state")
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
            self._refuse_unlike(mark, planned, present)
            return {"status": "UNCHANGED", "services": plan["rendered"]}
        if decision.action is StackAction.WAIT:
            raise PlanStale(f"Plan {mark.operation_id} is stale. {decision.reason}")
        now = self.planner.fingerprint(
            operation.cluster,
            present,
            plan["requested"],
            requested_tags={tag["name"]: tag["to"] for tag in plan["tags"]},
            replace=plan["replace"],
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
        refuse_stale(mark, self.journal.clock.now(), different)

    def refuse_alone(self, operation: Operation) -> None:
        """Refuse to plan and apply in one go where a second person is required.

        Raises ``SecondApproverRequired``.
        """
        if operation.machine in self.approver.machines:
            caller = self.approver.caller(operation) or "An unknown principal"
            raise SecondApproverRequired(
                f"{caller} requested plan and apply in one step; a second approver is required.",
                next_step="Nothing was changed. Create a plan, and have another person apply it.",
            )

    def _report(
        self, cluster: str, change_set: ChangeSet, mark: PlanDescription
    ) -> Mapping[str, Any]:
        """Read the plan that was reviewed, and refuse a change set that is not what it shows.

        The plan machine's record names the version of the report and the digest of its bytes. Only
        the functions write records, so that a report or a change set that replaced the reviewed
        one is not applied.
        """
        key = plan_keys(cluster, change_set.name)[0]
        record = self.planner.operations.find(mark.operation_id, "plan")
        if record is None or record.result != "SUCCEEDED" or record.report.key != key:
            raise _not_stored(change_set)
        body = self.planner.artifacts.get(key, record.report.version)
        if body is None or not record.report.is_of(body):
            raise _not_stored(change_set)
        plan: dict[str, Any] = json.loads(body)
        if plan["changeSet"] != change_set.arn or plan["status"] != "READY":
            raise _not_stored(change_set)
        planned = Fingerprint.from_json(plan["fingerprint"])
        if planned.digest() != mark.digest:
            raise _not_stored(change_set)
        other = _unlike_report(plan, planned, change_set, self.planner.with_defaults({}))
        if change_set.status == "READY":
            text = self.planner.stacks.template_of(change_set)
            if template_digest(text) != planned.template:
                other.append("its template")
        if other:
            raise PlanNotFound(
                f"The change set {change_set.name} is not the one in plan {mark.operation_id}. "
                f"Different: {', '.join(other)}."
            )
        return plan

    def _refuse_same_person(self, operation: Operation, mark: PlanDescription) -> None:
        if operation.machine in self.approver.machines:
            author = self.journal.operations.find(mark.operation_id, "plan")
            self.approver.refuse_same(self.approver.author(author), self.approver.caller(operation))

    def _refuse_unlike(
        self, mark: PlanDescription, planned: Fingerprint, present: Stack | None
    ) -> None:
        """Refuse to continue an executed plan unless the stack is as the plan wanted it."""
        if present is None:
            raise _executed(mark, "the stack no longer exists")
        if not is_done(present.status):
            raise _executed(mark, f"stack {present.name} is in {present.status}")
        now = present_parameters(present)
        others = sorted(n for n in planned.parameters if now.get(n) != planned.parameters[n])
        if others:
            what = f"stack {present.name} is in {present.status}"
            raise _executed(mark, f"{what}, with other values of {', '.join(others)}")
        if template_digest(self.planner.stacks.template(present.name)) != planned.template:
            raise _executed(mark, f"stack {present.name} has another template")


def _unlike_report(
    plan: Mapping[str, Any],
    planned: Fingerprint,
    change_set: ChangeSet,
    defaults: Mapping[str, str],
) -> list[str]:
    """Name what CloudFormation would do other than the plan shows.

    CloudFormation lists parameters that keep their defaults, too.
    """
    wanted = {**defaults, **planned.parameters}
    parameters = [
        name
        for name in sorted({*planned.parameters, *change_set.parameters})
        if wanted.get(name, "").strip() != change_set.parameters.get(name, "").strip()
    ]
    tags = [
        name
        for name in sorted({*planned.tags, *change_set.tags})
        if planned.tags.get(name) != change_set.tags.get(name)
    ]
    now = [change_line(change) for change in change_set.changes]
    found = [f"its parameters {', '.join(parameters)}"] if parameters else []
    found += [f"its tags {', '.join(tags)}"] if tags else []
    return found + (["its changes"] if _sorted(now) != _sorted(plan["changes"]) else [])


def _sorted(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(json.dumps(change, sort_keys=True) for change in changes)


def _not_stored(change_set: ChangeSet) -> PlanNotFound:
    return PlanNotFound(
        f"The plan machine has stored no plan for the current change set {change_set.name}."
    )


def _executed(mark: PlanDescription, what: str) -> PlanStale:
    return PlanStale(
        f"Plan {mark.operation_id} was already executed; {what}.",
        next_step="Create a new plan: it contains the remaining changes.",
    )
