"""Check a machine's input before it is started, with the code with which the machine itself checks.

So a caller hears of every wrong field, of a cluster that does not exist or is frozen, at once and
not from a failed execution. The machine checks again: much may happen in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.core.freeze import refuse_if_frozen
from lifecycle.core.names import TAG_CONTROL_PLANE, stack_name
from lifecycle.core.teardown import read_teardown_request
from lifecycle.errors import ClusterUnknown
from lifecycle.operations.validate_request import validate_plan, validate_request
from lifecycle.operations.validate_scaling import validate_scaling
from lifecycle.restart.validate_restart import validate_restart

if TYPE_CHECKING:
    from lifecycle.core.stack import Stack
    from lifecycle.operations.start_operation import Validator
    from lifecycle.ports import Stacks


@dataclass(frozen=True, slots=True)
class StartValidation:
    """The checks of each verb, with what they need from outside."""

    stacks: Stacks
    control_stack: str
    declarations: Mapping[str, Mapping[str, object]]

    def by_verb(self) -> dict[str, Validator]:
        """Give the check of each machine's input, by the machine's verb."""
        return {
            "provision": self._provision,
            "plan": self._plan,
            "scale": self._scale,
            "restart": self._restart,
            "teardown": self._teardown,
        }

    def _provision(self, raw: Mapping[str, object]) -> None:
        request = validate_request(
            raw,
            control_stack=self.control_stack,
            declarations=self.declarations,
            stacks=self.stacks,
        )
        name = stack_name(self.control_stack, request.cluster)
        stack = self.stacks.describe(name)
        if stack is not None:
            refuse_if_frozen(name, stack.tags)

    def _plan(self, raw: Mapping[str, object]) -> None:
        request = validate_plan(
            raw,
            control_stack=self.control_stack,
            declarations=self.declarations,
            stacks=self.stacks,
        )
        if request.count:
            self._find(request.cluster)

    def _scale(self, raw: Mapping[str, object]) -> None:
        validate_scaling(raw, control_stack=self.control_stack, stacks=self.stacks)

    def _restart(self, raw: Mapping[str, object]) -> None:
        validate_restart(raw, control_stack=self.control_stack, stacks=self.stacks)

    def _teardown(self, raw: Mapping[str, object]) -> None:
        request = read_teardown_request(raw)
        stack = self._find(request.cluster)
        if not request.dry_run:
            refuse_if_frozen(stack.name, stack.tags)

    def _find(self, cluster: str) -> Stack:
        stack = self.stacks.describe(stack_name(self.control_stack, cluster))
        if stack is None or stack.tags.get(TAG_CONTROL_PLANE) != self.control_stack:
            raise ClusterUnknown(f"There is no cluster {cluster!r} under {self.control_stack}.")
        return stack
