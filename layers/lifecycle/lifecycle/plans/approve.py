"""Two people for a provisioning that goes on after its end: its plan's author may not resume it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.cluster.names import stack_name
from lifecycle.errors import SecondApproverRequired
from lifecycle.operation.approval import principal_of
from lifecycle.plans.fingerprint import read_description

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.cluster.ports import Stacks
    from lifecycle.operation.approval import SecondApprover

_MACHINE = "provision"


@dataclass(frozen=True, slots=True)
class ProvisionApproval:
    """The rule and its ports."""

    stacks: Stacks
    approver: SecondApprover
    control_stack: str

    def refuse_request(self, request: Mapping[str, object], caller_arn: str) -> None:
        """Refuse a request of the provision machine of a principal (ARN) that may not apply it.

        Nothing is refused where the machine is not under the rule. Raises
        ``SecondApproverRequired``, and ``PlanNotFound`` for a change set that is no plan's.
        """
        if _MACHINE not in self.approver.machines:
            return
        caller = principal_of(caller_arn, self.approver.personal_sessions)
        change_set = request.get("changeSet")
        if not isinstance(change_set, str) or not change_set:
            raise SecondApproverRequired(
                f"{caller or 'An unknown principal'} requested plan and apply in one step; a "
                "second approver is required.",
                next_step="Nothing was changed. Create a plan, and have another person apply it.",
            )
        stack = stack_name(self.control_stack, str(request["clusterName"]))
        mark = read_description(self.stacks.change_set(change_set, stack).description)
        author = self.approver.operations.find(mark.operation_id, "plan")
        self.approver.refuse_same(self.approver.author(author), caller)
