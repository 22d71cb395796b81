"""Change the cluster's stack: plan, look at the change set, execute, follow, protect."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.find import refuse_another, refuse_mistaken
from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.cluster.names import change_set_name, stack_name, tags
from lifecycle.cluster.polling import next_wait
from lifecycle.cluster.stack import (
    first_failure,
    is_done,
    is_half_made,
    is_running,
    present_parameters,
    present_tags,
    progress_of,
)
from lifecycle.cluster.stack_decisions import (
    StackAction,
    decide_on,
    keeps_what_worked,
    machine_parameters,
    refuse_dangerous,
    refuse_protected,
    refuse_unfinished,
    refuse_unreplaced,
    stack_parameters,
    stack_policy,
)
from lifecycle.cluster.tags import stack_tags
from lifecycle.cluster.trial import is_trial
from lifecycle.cluster.trial import tags as trial_tags
from lifecycle.errors import ChangeSetRefused, StackFailed
from lifecycle.operation.steps import CHANGE_SET, STACK_BUILT
from lifecycle.preflight import backup_gate
from lifecycle.preflight.way_back import ACCEPT, crosses_minor
from lifecycle.provisioning.change_set_owner import refuse_foreign, settles
from lifecycle.provisioning.template import effective_template
from lifecycle.services.settings import NOTHING, patched, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lifecycle.cluster.ports import Stacks
    from lifecycle.cluster.stack import ChangeSet, Stack
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.operation.ports import Artifacts
    from lifecycle.provisioning.start_services import ServiceReader
    from lifecycle.services.image_digests import Images
    from lifecycle.services.settings import Settings


_AFTER_FAILURE: Final = {
    **dict.fromkeys(
        ("CREATE_FAILED", "UPDATE_FAILED"),
        "Completed resources were kept. Fix the cause and start the same operation again; it "
        "resumes from there.",
    ),
    "UPDATE_ROLLBACK_COMPLETE": "CloudFormation rolled back the update: the stack is in its "
    "previous state. Fix the cause and start the same operation "
    "again.",
    "UPDATE_ROLLBACK_FAILED": "The rollback failed. Use 'Continue update rollback' in the "
    "CloudFormation console, then start the same operation again.",
}
_AFTER_ANY_FAILURE: Final = (
    "Check the stack's events, fix the cause and start the same operation again; it reads the "
    "current state first."
)


# Nothing deletes a database whose deletion protection is on, CloudFormation neither:
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_DeleteCluster.html
_LEFT: Final = (
    " If the update had made a new database already, it is left beside the present one, protected "
    "from deletion: delete it in RDS first, without a final snapshot."
)
_RESTORE: Final = "restore"
_SETTLE: Final = "settle"
_NOTHING: Final = "nothing to change"
_ROLL_BACK: Final = "CloudFormation rolls back an update that failed"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore sets, which no request may, and the logical ids of data that it replaces.

    The stack policy is lifted for them alone, and what they were is retained.
    """

    parameters: Mapping[str, str]
    replace: Sequence[str]


@dataclass(frozen=True, slots=True)
class StackChanger:
    """The use case and its ports; ``reader`` is made where it is needed, from the definitions."""

    stacks: Stacks
    artifacts: Artifacts
    journal: Journal
    control_stack: str
    declarations: Mapping[str, Mapping[str, object]]
    images: Images
    reader: Callable[[], ServiceReader]

    def plan(
        self,
        operation: Operation,
        *,
        stack: str,
        requested: Mapping[str, str],
        requested_tags: Mapping[str, str | None],
        template: bytes,
        database_ca: str,
        polls: int,
        requested_settings: Mapping[str, Any] = NOTHING,
        approve: Callable[[], None] = lambda: None,
        restored: Restored | None = None,
    ) -> dict[str, Any]:
        """Request the change set from CloudFormation.

        ``approve`` rejects what needs a review and has none. A rollback to the state before a
        failed update needs no review. ``restored`` has what a restore sets and replaces.

        Returns ``status`` ``PLANNED`` with ``changeSet``, ``BUSY`` with ``wait`` (seconds) while
        CloudFormation works on the stack, or ``STUCK`` where an update that failed has to be
        rolled back first.
        Raises ``StackNotUsable``, ``ChangeSetRefused``, ``ClusterFrozen``.
        """
        self.journal.look(operation, CHANGE_SET, "reading the stack")
        found = self.stacks.describe(stack)
        decision = decide_on(found, self.control_stack, operation.cluster)
        if decision.action is StackAction.WAIT:
            self.journal.look(operation, CHANGE_SET, decision.reason)
            return {"status": "BUSY", "wait": next_wait(polls, near_end=False)}
        if decision.action is StackAction.ROLL_BACK:
            self.journal.look(operation, CHANGE_SET, decision.reason)
            return {"status": "STUCK"}
        approve()
        if found is not None:
            refuse_if_frozen(stack, found.tags)
        by_machine = machine_parameters(
            control_stack=self.control_stack,
            cluster=operation.cluster,
            database_ca=database_ca,
        )
        by_machine |= restored.parameters if restored else {}
        made = found is not None and found.status != "REVIEW_IN_PROGRESS"
        parameters, _ = self.images.pin(
            stack_parameters(
                declarations=self.declarations,
                stack=found,
                requested=requested,
                by_machine=by_machine,
            ),
            requested,
            made=made,
        )
        trial = {**present_parameters(found), **requested}
        settings = patched(present_settings(self.stacks, found), requested_settings)
        url = store_template(self.artifacts, effective_template(template, trial, settings))
        self._protect_again(found)
        change_set = self.stacks.create_change_set(
            stack=stack,
            name=change_set_name(operation.operation_id, _SETTLE),
            create=decision.action is StackAction.CREATE,
            template_url=url,
            parameters=parameters,
            tags=stack_tags(
                present_tags(found),
                requested_tags,
                tags(self.control_stack, operation.cluster) | trial_tags(trial),
            ),
            description=settles(operation.operation_id),
        )
        refuse_foreign(self.stacks.change_set(change_set, stack), operation.operation_id)
        return {
            "status": "PLANNED",
            "changeSet": change_set,
            "creates": decision.action is StackAction.CREATE,
            "replace": list(restored.replace) if restored else [],
            "services": {},
        }

    def roll_back(self, operation: Operation, *, stack: str) -> dict[str, Any]:
        """Bring a stack out of UPDATE_FAILED, from where CloudFormation takes no other update.

        Returns ``wait`` (seconds); ``plan`` shows when CloudFormation is done. A stack that is in
        another state by now is left alone. Raises ``ClusterFrozen``.
        """
        found = self.stacks.describe(stack)
        if found is not None and found.status == "UPDATE_FAILED" and not is_half_made(found):
            refuse_if_frozen(stack, found.tags)
            self.journal.step(operation, _ROLL_BACK, "starting")
            self.stacks.roll_back(stack, change_set_name(operation.operation_id, "roll-back"))
        return {"wait": next_wait(0, near_end=False)}

    def _protect_again(self, stack: Stack | None) -> None:
        """Close what an interrupted operation may have left open for the data its plan replaced."""
        if stack is not None and stack.termination_protected:
            self.stacks.set_policy(stack.name, stack_policy())

    def check_change_set(
        self,
        operation: Operation,
        *,
        change_set: str,
        creates: bool,
        replace: Sequence[str],
        polls: int,
        waivers: Mapping[str, Any] = NOTHING,
    ) -> dict[str, Any]:
        """Return whether a change set may be executed.

        ``replace`` are the logical ids of data that a reviewed plan names for replacement,
        ``waivers`` the fields of the request by which it goes without a backup.
        Returns ``status`` ``READY`` with ``changes`` (their number), ``UNCHANGED``, or
        ``PENDING`` with ``wait`` (seconds). ``READY`` has ``needsBackup`` with it: whether brokers
        that run are replaced then, and in that case ``backup``, what is requested of
        ``TakeBackup``, and the outputs of the stack before the change as ``cluster``.
        Raises ``ChangeSetRefused``; nothing is executed then.
        """
        found = self._change_set(operation, change_set)
        if found.status == "PENDING":
            return {"status": "PENDING", "wait": next_wait(polls, near_end=False)}
        if found.status == "GONE" and self._was_empty(operation):
            return {"status": "UNCHANGED"}
        if not creates and found.status != "GONE":
            refuse_unfinished(self.stacks.describe(found.stack), found)
        if found.status == "EMPTY":
            self.journal.look(operation, CHANGE_SET, _NOTHING)
            self.stacks.delete_change_set(change_set)
            return {"status": "UNCHANGED"}
        if found.status in {"FAILED", "GONE"}:
            raise ChangeSetRefused(
                f"CloudFormation could not create the change set: {found.reason or found.status}",
                next_step="Nothing was changed. Fix the cause given and start again.",
            )
        gate: dict[str, Any] = {"needsBackup": False}
        if found.status == "READY" and not creates:
            stack = self.stacks.describe(found.stack)
            refuse_dangerous(found.changes, replace)
            if operation.machine == _RESTORE:
                refuse_unreplaced(found.changes, replace)
            refuse_protected(found.changes, present_parameters(stack))
            gate = self._gate(stack, found, waivers)
        self.journal.look(operation, CHANGE_SET, f"{len(found.changes)} changes")
        return {"status": "READY", "changes": len(found.changes), **gate}

    def _gate(
        self, stack: Stack | None, change_set: ChangeSet, waivers: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what there has to be before the change set is executed."""
        before, after = (
            {**{name: str(d.get("default", "")) for name, d in self.declarations.items()}, **given}
            for given in (present_parameters(stack), change_set.parameters)
        )
        if stack is None or not self.reader().will_replace_brokers(stack, change_set, after):
            return {"needsBackup": False}
        step = crosses_minor(before, after)
        # A minor version has a waiver of its own: without a backup there is no way back from it.
        accepted = waivers.get(ACCEPT if step else backup_gate.ACCEPT) is True
        return {
            "needsBackup": True,
            "backup": backup_gate.wanted(
                present_parameters(stack), accepted=accepted, snapshot=step
            ),
            "cluster": dict(stack.outputs),
        }

    def _change_set(self, operation: Operation, change_set: str) -> ChangeSet:
        return self.stacks.change_set(change_set, stack_name(self.control_stack, operation.cluster))

    def _was_empty(self, operation: Operation) -> bool:
        """Return whether the operation itself removed its change set, and its answer was lost."""
        record = self.journal.operations.find(operation.operation_id, operation.machine)
        return record is not None and (record.step, record.detail) == (CHANGE_SET, _NOTHING)

    def execute(
        self, operation: Operation, *, change_set: str, replace: Sequence[str], until: str = ""
    ) -> dict[str, Any]:
        """Execute exactly this change set; returns the ``token`` that marks its events.

        The stack policy is lifted for the data in ``replace`` and for nothing else; ``follow``
        sets it again, and if that never happens the next operation or the plan's expiry does.
        Raises ``BackupOutdated`` for one that was not executed by ``until`` (ISO 8601, empty for at
        any time).
        """
        self.journal.step(operation, STACK_BUILT, "starting")
        token = change_set_name(operation.operation_id, _SETTLE)
        found = self._change_set(operation, change_set)
        if found.status == "READY":
            backup_gate.refuse_outdated(until, self.journal.clock.now(), "the stack is as it was")
            if replace:
                self.stacks.set_policy(found.stack, stack_policy(replace))
            keep = keeps_what_worked(self.stacks.describe(found.stack))
            self.stacks.execute_change_set(change_set, token, keep=keep)
        elif found.status != "EXECUTED":
            raise ChangeSetRefused(
                f"The change set can no longer be executed: {found.reason or found.status}",
                next_step="Nothing was executed. Start the same operation again.",
            )
        return {"token": token}

    def follow(
        self,
        operation: Operation,
        *,
        stack: str,
        token: str,
        changes: int,
        replace: Sequence[str],
        polls: int,
    ) -> dict[str, Any]:
        """Report how far CloudFormation is.

        Returns ``status`` ``DONE``, or ``BUSY`` with ``wait`` (seconds). Raises ``StackFailed``
        naming the first resource that failed and its reason: a creation keeps what worked, an
        update is rolled back.
        """
        found = self.stacks.describe(stack)
        if found is None:
            raise StackFailed(
                f"Stack {stack} was deleted while it was being changed.",
                next_step="Find out who deleted it, then start again.",
            )
        if replace and not is_running(found.status):
            self.journal.hold(operation, "it protected the data again")
            self.stacks.set_policy(stack, stack_policy())
        if is_done(found.status):
            self.journal.step(operation, STACK_BUILT, "done")
            return {"status": "DONE"}
        events = self.stacks.events(stack, token)
        if is_running(found.status):
            progress = progress_of(events, stack)
            working = ", ".join(progress.working[:4]) or "CloudFormation"
            more = f" and {len(progress.working) - 4} more" if len(progress.working) > 4 else ""
            doing = (
                "the update failed and is being rolled back"
                if "ROLLBACK" in found.status
                else f"{progress.done} of {changes} resources"
            )
            self.journal.step(operation, STACK_BUILT, f"{doing}; waiting for {working}{more}")
            near_end = changes > 0 and progress.done >= changes * 0.9
            return {"status": "BUSY", "wait": next_wait(polls, near_end=near_end)}
        failed = first_failure(events)
        what = (
            f"{failed.logical_id} ({failed.resource_type}): {failed.reason}"
            if failed is not None
            else found.reason or "CloudFormation gave no reason"
        )
        raise StackFailed(
            f"Stack {stack} is in {found.status}. First failure: {what}",
            next_step=_AFTER_FAILURE.get(found.status, _AFTER_ANY_FAILURE)
            + (_LEFT if replace and found.status == "UPDATE_ROLLBACK_COMPLETE" else ""),
        )

    def outputs(self, operation: Operation, stack: str) -> dict[str, str]:
        """Protect the stack, and read its outputs: the contract by which the cluster is known.

        A trial has no protection. Repeating is harmless. Raises ``StackFailed`` for a stack
        without outputs, ``StackNotUsable``, ``OperationEnded``.
        """
        found = self.stacks.describe(stack)
        if found is None or not found.outputs.complete:
            raise StackFailed(
                f"Stack {stack} has no outputs that describe a cluster.",
                next_step="Start the operation again; if this repeats, check the stack.",
            )
        refuse_mistaken(self.stacks, found, self.control_stack, operation.cluster)
        refuse_another(found, operation.ecs_cluster)
        if not is_trial(found.parameters) and not found.termination_protected:
            self.journal.hold(operation, "it protected the stack")
            self.journal.change(operation, "it protected the stack")
            self.stacks.protect(stack, stack_policy())
        return dict(found.outputs)


def store_template(artifacts: Artifacts, template: bytes) -> str:
    """Put the template under its digest; returns the address of exactly this version of it."""
    key = f"templates/{hashlib.sha256(template).hexdigest()}.json"
    return artifacts.url(artifacts.put(key, template, "application/json"))


def present_settings(stacks: Stacks, stack: Stack | None) -> Settings:
    """Read the settings that a stack has, from its own template."""
    if not present_parameters(stack) or stack is None:
        return NOTHING
    return settings_of(stacks.template(stack.name))
