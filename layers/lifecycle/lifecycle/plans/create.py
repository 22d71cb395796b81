"""Create a plan of provisioning: a change set with a fingerprint, rendered as JSON and text.

Nothing here changes a cluster, so there is no lock. What is made is a change set, the empty stack
that a first one leaves, a schedule that removes both after a day, and the plan's report.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from dataclasses import replace as with_values
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.current_prices import todays_prices
from lifecycle.cluster.names import change_set_name, tags
from lifecycle.cluster.planned_outputs import outputs_after
from lifecycle.cluster.polling import next_wait
from lifecycle.cluster.stack import present_parameters, present_tags
from lifecycle.cluster.stack_decisions import (
    PROTECTED_BALANCERS,
    StackAction,
    dangers,
    decide_on,
    machine_parameters,
    protected,
    refuse_stuck,
    refuse_unfinished,
    stack_parameters,
)
from lifecycle.cluster.tags import stack_tags, tag_changes
from lifecycle.cluster.trial import tags as trial_tags
from lifecycle.errors import ChangeSetRefused, ClusterBusy, PlanStale
from lifecycle.operation.page import keep_page
from lifecycle.pages.plan import plan_page
from lifecycle.plans.fingerprint import Fingerprint, PlanDescription, read_description
from lifecycle.plans.report import PlanInput, render, summary
from lifecycle.plans.text import plan_text
from lifecycle.provisioning.change_set import present_settings, store_template
from lifecycle.provisioning.change_set_owner import is_made_by, refuse_foreign
from lifecycle.provisioning.template import effective_template, template_digest
from lifecycle.services.definition import NAMES
from lifecycle.services.image_digests import (
    CONTAINERS,
    Images,
    image_lines,
    known,
    references,
    with_pinned,
)
from lifecycle.services.plan import refused_services, rendered, service_plan
from lifecycle.services.settings import NOTHING, patched
from lifecycle.services.startup import missing
from lifecycle.services.state import service_states

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cluster.ports import Clock, Prices, Stacks
    from lifecycle.cluster.stack import ChangeSet, Stack
    from lifecycle.errors import Failure
    from lifecycle.operation.model import Operation
    from lifecycle.operation.ports import Artifacts, Operations, Schedules
    from lifecycle.operation.record import Stored
    from lifecycle.services.definition import Definition
    from lifecycle.services.ports import Registry, Services
    from lifecycle.services.settings import Settings
    from lifecycle.services.startup import Service
    from lifecycle.services.state import ServiceState

_NOTHING_SEEN: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Planner:
    """The use case and its ports."""

    stacks: Stacks
    services: Services
    registry: Registry
    definitions: Mapping[str, Definition]
    artifacts: Artifacts
    schedules: Schedules
    prices: Prices
    operations: Operations
    clock: Clock
    region: str
    role: str
    control_stack: str
    declarations: Mapping[str, Mapping[str, object]]

    def create(
        self,
        operation: Operation,
        *,
        stack: str,
        requested: Mapping[str, str],
        requested_tags: Mapping[str, str | None],
        replace: Sequence[str],
        template: bytes,
        database_ca: str,
        requested_settings: Mapping[str, Any] = NOTHING,
    ) -> dict[str, Any]:
        """Schedule the end of the plan, then request its change set from CloudFormation.

        Returns ``changeSet`` (ARN). Raises ``StackNotUsable``, ``ChangeSetRefused`` and
        ``ClusterBusy`` while CloudFormation works on the stack: a plan made now would be stale.
        """
        name = change_set_name(operation.operation_id, "plan")
        there = self.stacks.change_set(name, stack)
        refuse_foreign(there, operation.operation_id)
        if there.status != "GONE":  # a retry: the first answer was lost
            return {"changeSet": there.arn}
        found = self.stacks.describe(stack)
        decision = decide_on(found, self.control_stack, operation.cluster)
        refuse_stuck(found, decision)
        if decision.action is StackAction.WAIT:
            raise ClusterBusy(
                f"Stack {stack}: {decision.reason} A plan created now would be stale immediately.",
                next_step="Wait until CloudFormation has finished, then plan again.",
            )
        settings = patched(present_settings(self.stacks, found), requested_settings)
        print_ = self.fingerprint(
            operation.cluster,
            found,
            requested,
            requested_tags=requested_tags,
            replace=replace,
            template=template,
            database_ca=database_ca,
            settings=settings,
        )
        mark = PlanDescription(print_.digest(), self.clock.now(), operation.operation_id)
        self.schedules.once(
            _schedule_name(self.control_stack, operation.operation_id),
            at=mark.expires_at,
            payload={
                "cluster": operation.cluster,
                "stack": stack,
                "changeSetName": name,
                "operationId": operation.operation_id,
            },
        )
        arn = self.stacks.create_change_set(
            stack=stack,
            name=name,
            create=decision.action is StackAction.CREATE,
            template_url=store_template(
                self.artifacts, effective_template(template, print_.parameters, settings)
            ),
            parameters=print_.parameters,
            tags=print_.tags,
            description=str(mark),
        )
        refuse_foreign(self.stacks.change_set(arn, stack), operation.operation_id)
        return {"changeSet": arn}

    def fingerprint(
        self,
        cluster: str,
        stack: Stack | None,
        requested: Mapping[str, str],
        *,
        requested_tags: Mapping[str, str | None],
        replace: Sequence[str],
        template: bytes,
        database_ca: str,
        settings: Settings,
    ) -> Fingerprint:
        """Everything a plan of this request rests on, as it is now.

        ``settings`` are all that the cluster is to have.
        """
        made = stack is not None and stack.status != "REVIEW_IN_PROGRESS"
        parameters = stack_parameters(
            declarations=self.declarations,
            stack=stack,
            requested=requested,
            by_machine=machine_parameters(
                control_stack=self.control_stack,
                cluster=cluster,
                database_ca=database_ca,
            ),
        )
        parameters, found = self._images.pin(parameters, requested, made=made)
        services = self._live(stack)
        text = json.dumps(self.definitions, sort_keys=True)
        return Fingerprint(
            template=template_digest(effective_template(template, parameters, settings)),
            parameters=parameters,
            definitions=hashlib.sha256(text.encode()).hexdigest(),
            counts={one.name: one.desired for one in services if one.exists},
            deployments={
                one.name: one.primary.deployment_id for one in services if one.primary is not None
            },
            stack=stack.stack_id if stack is not None and made else "",
            changed_at=stack.changed_at if stack is not None and made else "",
            role=self.role,
            tags=self._tags(cluster, stack, requested_tags, parameters),
            replace=sorted(replace),
            images=known(found),
        )

    def _tags(
        self,
        cluster: str,
        stack: Stack | None,
        requested: Mapping[str, str | None],
        parameters: Mapping[str, str],
    ) -> dict[str, str]:
        """All tags that the stack is to have."""
        ours = tags(self.control_stack, cluster) | trial_tags(parameters)
        return stack_tags(present_tags(stack), requested, ours)

    @property
    def _images(self) -> Images:
        return Images(self.registry, self.role, self.region, self.with_defaults({}))

    def with_defaults(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Parameters with the defaults of the cluster template."""
        defaults = {name: str(d.get("default", "")) for name, d in self.declarations.items()}
        return {**defaults, **parameters}

    def _live(self, stack: Stack | None) -> Sequence[Service]:
        """Services of the cluster, as ECS describes them; those that are not there as missing."""
        name = stack.outputs.get("EcsClusterName") if stack is not None else None
        if name is None:
            return [missing(one) for one in NAMES]
        return self.services.describe(name, NAMES)

    def services_after(
        self,
        cluster: str,
        stack: Stack | None,
        change_set: ChangeSet,
        parameters: Mapping[str, str],
        requested_tags: Mapping[str, str | None],
    ) -> tuple[Sequence[ServiceState], Sequence[ServiceState]]:
        """Hold the services against their definitions: after the change set, and today's.

        ``parameters`` are those of the change set. Today's are empty while the stack has no
        outputs.
        """
        found = self._live(stack)
        outputs = stack.outputs if stack is not None else ClusterOutputs()
        present = present_tags(stack)
        after = outputs_after(outputs, self.with_defaults(parameters), change_set.changes)
        wanted = self._tags(cluster, stack, requested_tags, parameters)
        today = service_states(found, self.definitions, outputs, present) if outputs else ()
        return service_states(found, self.definitions, after, wanted), today

    def render(
        self,
        operation: Operation,
        *,
        stack: str,
        change_set: str,
        requested: Mapping[str, str],
        requested_tags: Mapping[str, str | None],
        replace: tuple[str, ...],
        preflight: Mapping[str, Any],
        template: bytes,
        database_ca: str,
        polls: int,
        requested_settings: Mapping[str, Any] = NOTHING,
    ) -> dict[str, Any]:
        """Create the plan and store it, or return how long to wait for CloudFormation.

        Returns ``status`` ``PENDING`` with ``wait`` (seconds), or ``RENDERED`` with the outline of
        the plan in ``plan``. Raises ``ChangeSetRefused`` with the reason; the plan is stored even
        then, and its change set removed.
        """
        found = self.stacks.change_set(change_set, stack)
        if found.status == "PENDING":
            return {"status": "PENDING", "wait": next_wait(polls, near_end=False)}
        if found.status in {"GONE", "EXECUTED"}:
            raise ChangeSetRefused(
                f"The plan's change set was removed or executed in the meantime: {found.reason}",
                next_step="Nothing was changed by this operation. Plan again.",
            )
        present = self.stacks.describe(stack)
        refuse_unfinished(present, found)
        before = present_settings(self.stacks, present)
        settings = patched(before, requested_settings)
        print_ = self.fingerprint(
            operation.cluster,
            present,
            requested,
            requested_tags=requested_tags,
            replace=replace,
            template=template,
            database_ca=database_ca,
            settings=settings,
        )
        mark = read_description(found.description)
        if print_.digest() != mark.digest:
            raise PlanStale(
                f"The cluster was changed while plan {mark.operation_id} was being created.",
                next_step="Nothing was changed by this operation. Plan again.",
            )
        situation = self._situation(
            operation.cluster,
            present,
            found,
            print_,
            replace=replace,
            requested_tags=requested_tags,
            settings=(before, settings),
            template=template,
        )
        record = self.operations.find(operation.operation_id, operation.machine)
        plan = render(
            situation,
            mark=mark,
            fingerprint=print_,
            requested=requested,
            requested_settings=requested_settings,
            preflight=preflight,
            author=record.caller if record else "",
        )
        key, text_key = plan_keys(operation.cluster, found.name)
        stored = self.artifacts.put(key, json.dumps(plan, indent=2).encode(), "application/json")
        keep_page(self.artifacts, key, plan_page, plan)
        self.artifacts.put(text_key, plan_text(plan).encode(), "text/plain; charset=utf-8")
        if situation.refusal:
            raise ChangeSetRefused(
                f"{situation.refusal} The plan with all details is {text_key} in the artifact "
                "bucket.",
                next_step="Nothing was changed. Fix the cause listed and plan again. Stateful "
                "resources can be replaced only by a plan that lists them in its field "
                "replace; resources that running brokers depend on are never replaced.",
            )
        outline = summary(plan, key=key, text_key=text_key)
        if plan["status"] == "UNCHANGED":
            # Its schedule removes the empty change set: a repeated rendering has to find it.
            outline |= {"changeSet": None, "apply": None}
        self._record(operation, result="SUCCEEDED", report=stored)
        return {"status": "RENDERED", "plan": outline}

    def fail(
        self, operation: Operation, *, request: Mapping[str, Any], failure: Failure
    ) -> dict[str, Any]:
        """Remove what a failed plan left; returns ``error`` and ``cause`` for the Fail state."""
        name = change_set_name(operation.operation_id, "plan")
        found = self.stacks.change_set(name, request["stack"])
        ours = is_made_by(found, operation.operation_id)
        if ours and found.status not in {"GONE", "EXECUTED"}:
            self.stacks.delete_change_set(found.arn)
        failure = with_values(
            failure,
            next_step=failure.next_step or "Plan again.",
            current_state="Nothing was changed.",
        )
        report = {
            "result": "FAILED",
            "error": failure.name,
            **failure.document(),
            "request": dict(request),
            **asdict(operation),
        }
        key = f"plans/{operation.cluster}/{name}.failure.json"
        stored = self.artifacts.put(key, json.dumps(report, indent=2).encode(), "application/json")
        self._record(operation, result="FAILED", report=stored)
        return {"error": failure.name, "cause": failure.to_cause()}

    def _situation(
        self,
        cluster: str,
        present: Stack | None,
        change_set: ChangeSet,
        print_: Fingerprint,
        *,
        replace: tuple[str, ...],
        requested_tags: Mapping[str, str | None],
        settings: tuple[Settings, Settings],
        template: bytes,
    ) -> PlanInput:
        before = present_parameters(present)
        after = self.with_defaults(print_.parameters)
        states, today = self.services_after(
            cluster, present, change_set, print_.parameters, requested_tags
        )
        services = service_plan(states, today)
        past = self.with_defaults(before) if before else {}
        return PlanInput(
            cluster=cluster,
            region=self.region,
            stack=present,
            change_set=change_set,
            before=past,
            after=after,
            counts=print_.counts,
            services=services,
            rendered=rendered(states),
            tags=tag_changes(present_tags(present), requested_tags),
            settings=settings,
            named=replace,
            machine=frozenset(n for n, d in self.declarations.items() if d.get("machine")),
            refusal=_refusal(present, change_set, replace, services),
            template=json.loads(template),
            prices=todays_prices(self.prices, self.clock, self.region, past, after),
            images=image_lines(
                references(after),
                self._images.digests(print_.parameters, with_pinned(print_.images)),
                {
                    container: self.services.running_images(one.service, container)
                    for one in states
                    if one.service.exists
                    for container in CONTAINERS[one.service.name]
                },
            ),
        )

    def _record(self, operation: Operation, *, result: str, report: Stored) -> None:
        now = self.clock.now()
        self.operations.begin(operation, now=now)
        self.operations.end(operation, result=result, report=report, now=now)


def _refusal(
    present: Stack | None,
    change_set: ChangeSet,
    replace: tuple[str, ...],
    services: Sequence[dict[str, Any]],
) -> str:
    """Return why this plan cannot be applied, by CloudFormation or by our own rules."""
    if change_set.status == "FAILED":
        return f"CloudFormation could not create the change set: {change_set.reason}."
    if not present_parameters(present):
        return ""
    dangerous = dangers(change_set.changes, replace)
    if dangerous:
        return (
            "It would affect stateful resources or resources that brokers depend on: "
            f"{'; '.join(dangerous)}."
        )
    held = protected(change_set.changes, present_parameters(present))
    if held:
        return (
            f"It would replace {', '.join(held)}, which {PROTECTED_BALANCERS} true protects from "
            f"deletion. First set {PROTECTED_BALANCERS} to false in a change of its own."
        )
    refused = refused_services(services)
    return f"It would need a different service: {'; '.join(refused)}." if refused else ""


def plan_keys(cluster: str, name: str) -> tuple[str, str]:
    """Keys of a plan in the artifact bucket, as JSON and as text, by its change set's name."""
    return f"plans/{cluster}/{name}.json", f"plans/{cluster}/{name}.txt"


def _schedule_name(control_stack: str, operation_id: str) -> str:
    # At most 64 characters, while an operation id may have 80.
    return f"plan-{hashlib.sha256(f'{control_stack}/{operation_id}'.encode()).hexdigest()[:32]}"
