"""In-memory twin of CloudFormation for one stack at a time, advanced by the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lifecycle.core.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.core.stack import (
    ChangeSet,
    ResourceChange,
    Stack,
    StackEvent,
    StackResource,
    is_unfinished,
)
from lifecycle.errors import ChangeSetRefused, StackNotDeleted, StackNotUsable

_FAILED: Final = frozenset({"CREATE_FAILED", "UPDATE_FAILED"})
# https://github.com/aws/aws-cdk/issues/30546
_REPLACEMENT: Final = "Replacement type updates not supported on stack with disable-rollback."


@dataclass
class _ChangeSet:
    stack: str
    create: bool
    parameters: dict[str, str]
    tags: dict[str, str]
    changes: tuple[ResourceChange, ...]
    status: str
    reason: str = ""
    name: str = ""
    description: str = ""
    keep: bool = False


@dataclass
class MemoryStacks:
    """Stacks and change sets.

    ``resources`` are what the template holds; the first change set adds them, a later one changes
    those in ``changed_by`` for each parameter that differs. An executed change set ends at
    ``finish``, or fails at the resource named there; then what worked is kept, or rolled back to
    the last state that was ``stable``. ``refuses`` is the reason for which the next change sets
    fail; ``blocked`` names a resource that cannot be deleted, and why. A stack made anew under a
    name has another id and other resources.
    """

    resources: Mapping[str, str] = field(default_factory=dict)
    changed_by: Mapping[str, Sequence[ResourceChange]] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    stacks: dict[str, Stack] = field(default_factory=dict)
    change_sets: dict[str, _ChangeSet] = field(default_factory=dict)
    history: list[tuple[str, StackEvent]] = field(default_factory=list)
    policies: dict[str, str] = field(default_factory=dict)
    stable: dict[str, Stack] = field(default_factory=dict)
    running: tuple[str, str] | None = None
    rolling_back: str = ""
    refuses: str = ""
    body: str = ""
    deleting: tuple[str, str] | None = None
    deleted: dict[str, Stack] = field(default_factory=dict)
    blocked: Callable[[], tuple[str, str] | None] = lambda: None

    def describe(self, name: str) -> Stack | None:
        """Describe a stack, by its name or, a deleted one too, by its id."""
        by_id = {stack.stack_id: stack for stack in self.stacks.values()}
        return self.stacks.get(name) or by_id.get(name) or self.deleted.get(name)

    def of_control_plane(self, control_stack: str) -> Sequence[Stack]:
        """Every cluster's stack, by name."""
        ours = (
            stack
            for stack in self.stacks.values()
            if stack.tags.get(TAG_CONTROL_PLANE) == control_stack and TAG_CLUSTER in stack.tags
        )
        return sorted(ours, key=lambda stack: stack.name)

    def create_change_set(
        self,
        *,
        stack: str,
        name: str,
        create: bool,
        template_url: str | None,
        parameters: Mapping[str, str],
        tags: Mapping[str, str],
        description: str,
    ) -> str:
        """Compute a change set; the same name again is the same one."""
        del template_url
        arn = _arn(name, stack)
        if arn in self.change_sets:
            return arn
        found = self.stacks.get(stack)
        present = dict(found.parameters) if found and not create else {}
        values = dict(self.defaults) | present
        values |= parameters
        if create:
            self.stable.pop(stack, None)  # of a former stack of that name
            changes = tuple(ResourceChange("Add", k, v) for k, v in self.resources.items())
            self.stacks[stack] = Stack(
                stack,
                f"arn:stack/{stack}{'-again' * len(self.deleted)}",
                "REVIEW_IN_PROGRESS",
                tags=tags,
                changed_at=name,
            )
        else:
            differing = [key for key, value in values.items() if present.get(key) != value]
            changes = tuple(c for key in differing for c in self.changed_by.get(key, ()))
            if found is not None and found.tags != tags:
                # CloudFormation passes a stack's tags on to each of its resources.
                changes += tuple(
                    ResourceChange("Modify", name, kind, "False", properties=("Tags",))
                    for name, kind in self.resources.items()
                )
            if found is not None and is_unfinished(found):
                changes = tuple(ResourceChange("Add", k, v) for k, v in self.resources.items())
        empty = not changes and not create
        status = "FAILED" if self.refuses else "EMPTY" if empty else "READY"
        self.change_sets[arn] = _ChangeSet(
            stack, create, values, dict(tags), changes, status, self.refuses, name, description
        )
        return arn

    def change_set(self, name: str, stack: str = "") -> ChangeSet:
        """Describe a change set."""
        arn = name if name.startswith("arn:") else _arn(name, stack)
        found = self.change_sets.get(arn)
        if found is None:
            return ChangeSet(name, "GONE", "removed")
        return ChangeSet(
            arn,
            found.status,
            found.reason,
            found.changes,
            name=found.name,
            stack=found.stack,
            description=found.description,
            parameters=found.parameters,
        )

    def change_sets_of(self, stack: str) -> Sequence[str]:
        """ARNs of the change sets that a stack has."""
        return [arn for arn, found in self.change_sets.items() if found.stack == stack]

    def delete_change_set(self, arn: str) -> None:
        """Remove a change set."""
        self.change_sets.pop(arn, None)

    def execute_change_set(self, arn: str, token: str, *, keep: bool) -> None:
        """Begin; nothing is done before ``finish``."""
        found = self.change_sets[arn]
        before = self.stacks[found.stack]
        if before.status in _FAILED and not keep:
            raise ChangeSetRefused(
                f"This stack is currently in a non-terminal [{before.status}] state."
            )
        if before.status.endswith("_COMPLETE"):
            self.stable[found.stack] = before
        found.status, found.keep = "EXECUTED", keep
        status = "CREATE_IN_PROGRESS" if found.create else "UPDATE_IN_PROGRESS"
        self.stacks[found.stack] = replace(
            before,
            status=status,
            parameters=found.parameters,
            tags=found.tags,
            changed_at=token,
        )
        self._drop_change_sets(found.stack)
        self.running = (arn, token)
        for change in found.changes:
            self._event(token, change, status, "")

    def finish(self, *, failing: str = "", reason: str = "") -> None:
        """End what runs: well, or with ``failing`` as the resource that failed for ``reason``."""
        if self.deleting is not None:
            self._finish_deletion(failing, reason)
        if self.rolling_back:
            self._finish_rollback()
        if self.running is None:
            return
        arn, token = self.running
        found = self.change_sets[arn]
        verb = "CREATE" if found.create else "UPDATE"
        replaced = [change for change in found.changes if change.replacement == "True"]
        if found.keep and not found.create and replaced:
            failing, reason = replaced[0].logical_id, _REPLACEMENT
        for change in found.changes:
            if change.logical_id == failing:
                self._event(token, change, f"{verb}_FAILED", reason)
            elif failing:
                self._event(token, change, f"{verb}_FAILED", "Resource creation cancelled")
            else:
                self._event(token, change, f"{verb}_COMPLETE", "")
        words = f"The following resource(s) failed: [{failing}]" if failing else ""
        present = replace(self.stacks[found.stack], reason=words)
        if not failing:
            present = replace(present, status=f"{verb}_COMPLETE", outputs=dict(self.outputs))
        elif found.keep:
            present = replace(present, status=f"{verb}_FAILED")
        elif found.create:
            present = replace(present, status="ROLLBACK_COMPLETE")
        else:
            present = replace(
                self.stable[found.stack],
                status="UPDATE_ROLLBACK_COMPLETE",
                reason=words,
                changed_at=token,
            )
        self.stacks[found.stack] = present
        self.running = None

    def roll_back(self, name: str, token: str) -> None:
        """Begin; nothing is done before ``finish``. The same token again is no error."""
        stack = self.stacks[name]
        if self.rolling_back == name:
            return
        if stack.status not in _FAILED:
            raise StackNotUsable("RollbackStack cannot be called from current stack status")
        kind = "UPDATE_ROLLBACK" if name in self.stable else "ROLLBACK"
        self.stacks[name] = replace(stack, status=f"{kind}_IN_PROGRESS", changed_at=token)
        self._drop_change_sets(name)
        self.rolling_back = name

    def _finish_rollback(self) -> None:
        name, self.rolling_back = self.rolling_back, ""
        stack = self.stacks.pop(name)
        if name in self.stable:
            self.stacks[name] = replace(
                self.stable[name], status="UPDATE_ROLLBACK_COMPLETE", changed_at=stack.changed_at
            )
        else:  # it was never complete
            self.deleted[stack.stack_id] = replace(stack, status="DELETE_COMPLETE")

    def _drop_change_sets(self, stack: str) -> None:
        for other in self.change_sets_of(stack):
            if self.change_sets[other].status != "EXECUTED":
                del self.change_sets[other]  # as CloudFormation does

    def protect(self, name: str, policy: str) -> None:
        """Turn termination protection on and set the policy."""
        self.stacks[name] = replace(self.stacks[name], termination_protected=True)
        self.set_policy(name, policy)

    def set_policy(self, name: str, policy: str) -> None:
        """Set the stack policy."""
        self.policies[name] = policy

    def contents(self, name: str) -> Sequence[StackResource]:
        """Resources that a stack holds."""
        found = self.describe(name)
        if found is None or found.status == "REVIEW_IN_PROGRESS":
            return []
        number = len(self.deleted) + 1
        return [
            StackResource(key, kind, f"{key.lower()}-{number}")
            for key, kind in self.resources.items()
        ]

    def template(self, name: str) -> str:
        """Text of the template."""
        del name
        return self.body

    def unprotect(self, name: str) -> None:
        """Turn termination protection off."""
        self.stacks[name] = replace(self.stacks[name], termination_protected=False)

    def delete(self, name: str, token: str) -> None:
        """Begin; nothing is deleted before ``finish``."""
        stack = self.describe(name)
        if stack is None or stack.name not in self.stacks:
            return
        if stack.termination_protected:
            raise StackNotDeleted("TerminationProtection is enabled")
        self.stacks[stack.name] = replace(stack, status="DELETE_IN_PROGRESS")
        self.deleting = (stack.name, token)

    def _finish_deletion(self, failing: str, reason: str) -> None:
        name, token = self.deleting or ("", "")
        self.deleting = None
        stack = self.stacks[name]
        blocker, why = self.blocked() or (failing, reason)
        for key, kind in self.resources.items():
            change = ResourceChange("Remove", key, kind)
            if key == blocker:
                self._event(token, change, "DELETE_FAILED", why)
            else:
                self._event(token, change, "DELETE_COMPLETE", "")
        if blocker:
            words = f"The following resource(s) failed to delete: [{blocker}]."
            self.stacks[name] = replace(stack, status="DELETE_FAILED", reason=words)
        else:
            del self.stacks[name]
            self.deleted[stack.stack_id] = replace(stack, status="DELETE_COMPLETE")

    def events(self, name: str, token: str) -> Sequence[StackEvent]:
        """Events that carry the token."""
        del name
        return [event for marked, event in self.history if marked == token]

    def _event(self, token: str, change: ResourceChange, status: str, reason: str) -> None:
        number = len(self.history)
        self.history.append(
            (
                token,
                StackEvent(
                    event_id=str(number),
                    at=f"2026-01-01T00:00:{number % 60:02}+00:00",
                    logical_id=change.logical_id,
                    resource_type=change.resource_type,
                    status=status,
                    reason=reason,
                ),
            )
        )


def _arn(name: str, stack: str) -> str:
    return f"arn:aws:cloudformation:eu-central-1:123456789012:changeSet/{name}/{stack}"
