"""In-memory fake of CloudFormation for one stack at a time, advanced by the test."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.cluster.stack import (
    ChangeSet,
    ResourceChange,
    Stack,
    StackEvent,
    StackResource,
    is_half_made,
)
from lifecycle.errors import ChangeSetRefused, StackNotDeleted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence


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
    body: str = ""


@dataclass
class FakeStacks:
    """Stacks and change sets.

    ``resources`` are what the template holds; the first change set adds them, a later one changes
    those in ``changed_by`` for each parameter that differs. An executed change set ends at
    ``finish``, or fails at the resource named there. ``refuses`` is the reason for which the next
    change sets fail; ``blocked`` names a resource that cannot be deleted, and why. A stack made
    anew under a name has another id and other resources.
    """

    resources: Mapping[str, str] = field(default_factory=dict)
    changed_by: Mapping[str, Sequence[ResourceChange]] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    stacks: dict[str, Stack] = field(default_factory=dict)
    change_sets: dict[str, _ChangeSet] = field(default_factory=dict)
    history: list[tuple[str, StackEvent]] = field(default_factory=list)
    policies: dict[str, str] = field(default_factory=dict)
    running: tuple[str, str] | None = None
    rolling: str = ""
    rolled_back: list[str] = field(default_factory=list)
    replaces: Collection[str] = ()
    """Logical ids that the change set of a half-made stack replaces."""
    nothing_left: bool = False
    """Whether CloudFormation finds nothing to do for a half-made stack."""
    before: Stack | None = None
    refuses: str = ""
    body: str = ""
    """Template of every stack, where none is uploaded."""
    bodies: dict[str, str] = field(default_factory=dict)
    """Templates by stack, as they were uploaded."""
    fetch: Callable[[str], str] = lambda _url: ""
    """What is stored at the address of a template."""
    body_before: str = ""
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
        body = self.fetch(template_url) if template_url else self.bodies.get(stack, "")
        arn = _arn(name, stack)
        if arn in self.change_sets:
            return arn
        found = self.stacks.get(stack)
        present = dict(found.parameters) if found and not create else {}
        values = dict(self.defaults) | present
        values |= parameters
        if create:
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
            changes += _resources_that_differ(self.bodies.get(stack, ""), body)
            if found is not None and found.tags != tags:
                # CloudFormation passes a stack's tags on to each of its resources.
                changes += tuple(
                    ResourceChange("Modify", name, kind, "False", properties=("Tags",))
                    for name, kind in self.resources.items()
                )
            if found is not None and is_half_made(found):
                changes = tuple(
                    ResourceChange("Modify", k, v, "True")
                    if k in self.replaces
                    else ResourceChange("Add", k, v)
                    for k, v in self.resources.items()
                )
                changes = () if self.nothing_left else changes
        empty = not changes and not create
        status = "FAILED" if self.refuses else "EMPTY" if empty else "READY"
        self.change_sets[arn] = _ChangeSet(
            stack,
            create,
            values,
            dict(tags),
            changes,
            status,
            self.refuses,
            name,
            description,
            body=body,
        )
        return arn

    def change_set(self, name: str, stack: str) -> ChangeSet:
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
            tags=found.tags,
        )

    def template_of(self, change_set: ChangeSet) -> str:
        """Text of the template that a change set would apply."""
        return self.change_sets[change_set.arn].body

    def change_sets_of(self, stack: str) -> Sequence[str]:
        """ARNs of the change sets that a stack has."""
        return [arn for arn, found in self.change_sets.items() if found.stack == stack]

    def delete_change_set(self, arn: str) -> None:
        """Remove a change set."""
        self.change_sets.pop(arn, None)

    def execute_change_set(self, arn: str, token: str, *, keep: bool) -> None:
        """Begin; nothing is done before ``finish``."""
        found = self.change_sets[arn]
        status = self.stacks[found.stack].status
        if status.endswith("_FAILED") and not keep:
            raise ChangeSetRefused(
                f"This stack is currently in a non-terminal [{status}] state. To update the stack"
                " from this state, please use the disable-rollback parameter"
            )
        found.status, found.keep = "EXECUTED", keep
        self.before = self.stacks[found.stack]
        self.body_before = self.bodies.get(found.stack, "")
        self.bodies[found.stack] = found.body
        status = "CREATE_IN_PROGRESS" if found.create else "UPDATE_IN_PROGRESS"
        self.stacks[found.stack] = replace(
            self.stacks[found.stack],
            status=status,
            parameters=found.parameters,
            tags=found.tags,
            changed_at=token,
        )
        for other in self.change_sets_of(found.stack):
            if self.change_sets[other].status != "EXECUTED":
                del self.change_sets[other]  # as CloudFormation does
        self.running = (arn, token)
        for change in found.changes:
            self._event(token, change, status, "")

    def finish(self, *, failing: str = "", reason: str = "") -> None:
        """End what runs: well, or with ``failing`` as the resource that failed for ``reason``."""
        if self.deleting is not None:
            self._finish_deletion(failing, reason)
        if self.rolling:
            self._rolled_back(self.rolling)
            self.rolling = ""
        if self.running is None:
            return
        arn, token = self.running
        found = self.change_sets[arn]
        verb = "CREATE" if found.create else "UPDATE"
        if not failing and not found.create and found.keep:
            replaced = [one.logical_id for one in found.changes if one.replacement == "True"]
            failing = next(iter(replaced), "")
            reason = "Replacement type updates not supported on stack with disable-rollback."
        for change in found.changes:
            if change.logical_id == failing:
                self._event(token, change, f"{verb}_FAILED", reason)
            elif failing:
                self._event(token, change, f"{verb}_FAILED", "Resource creation cancelled")
            else:
                self._event(token, change, f"{verb}_COMPLETE", "")
        self.stacks[found.stack] = replace(
            self.stacks[found.stack],
            status=f"{verb}_FAILED" if failing else f"{verb}_COMPLETE",
            reason=f"The following resource(s) failed: [{failing}]" if failing else "",
            outputs=ClusterOutputs(
                self.stacks[found.stack].outputs if failing else dict(self.outputs)
            ),
        )
        self.running = None
        if failing and not found.keep and not found.create:
            self._rolled_back(found.stack)

    def roll_back(self, name: str, token: str) -> None:
        """Begin; after ``finish`` the stack is as it was before the update that failed, or gone."""
        if self.stacks[name].status == "UPDATE_FAILED":
            self.rolling = name
            self.rolled_back.append(name)
            self.stacks[name] = replace(
                self.stacks[name], status="UPDATE_ROLLBACK_IN_PROGRESS", changed_at=token
            )

    def _rolled_back(self, name: str) -> None:
        before = self.before or self.stacks[name]
        self.bodies[name] = self.body_before
        if not self.stacks[name].outputs:  # it was never complete
            gone = self.stacks.pop(name)
            self.deleted[gone.stack_id] = replace(gone, status="DELETE_COMPLETE")
            return
        self.stacks[name] = replace(
            self.stacks[name],
            status="UPDATE_ROLLBACK_COMPLETE",
            parameters=before.parameters,
            tags=before.tags,
            outputs=ClusterOutputs(before.outputs or dict(self.outputs)),
        )

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
        return self.body or self.bodies.get(name, "")

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
                    at=f"2026-01-01T00:00:{number % 60:02}+00:00",
                    logical_id=change.logical_id,
                    resource_type=change.resource_type,
                    status=status,
                    reason=reason,
                ),
            )
        )


def _resources_that_differ(before: str, after: str) -> tuple[ResourceChange, ...]:
    if not before or not after:
        return ()
    was, becomes = (json.loads(text)["Resources"] for text in (before, after))
    return tuple(
        ResourceChange(
            "Modify",
            name,
            resource["Type"],
            "True" if resource["Type"] == "AWS::ECS::TaskDefinition" else "False",
        )
        for name, resource in becomes.items()
        if name in was and was[name] != resource
    )


def _arn(name: str, stack: str) -> str:
    return f"arn:aws:cloudformation:eu-central-1:123456789012:changeSet/{name}/{stack}"
