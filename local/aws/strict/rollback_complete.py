"""A stack whose creation was rolled back can only be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import cloudformation, cloudformation_api, helpers
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness


def install(_strictness: Strictness) -> None:
    """Check the stack before a change set is created for it."""
    actions = cloudformation_api.ACTION_HANDLERS
    actions["CreateChangeSet"] = _only_for_living(actions["CreateChangeSet"])


def _only_for_living(own: Any) -> Any:
    def create(parameters: Mapping[str, Any]) -> Any:
        name = str(helpers.p(parameters, "StackName"))
        named = name.split("/")[1] if name.startswith("arn:") else name
        found = refusal(cloudformation.stacks.get(named) or {})
        return helpers.error("ValidationError", found) if found else own(parameters)

    return create


def refusal(stack: Mapping[str, Any]) -> str:
    """Why CloudFormation creates no change set for a stack; empty if it does."""
    status = stack.get("StackStatus", "")
    if status not in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}:
        return ""
    return f"Stack:{stack['StackId']} is in {status} state and can not be updated."


RULE: Final = Rule(
    name="rollback-complete",
    does="A stack in ROLLBACK_COMPLETE, ROLLBACK_FAILED or DELETE_FAILED accepts no change set.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html",
    caught="nothing: the operation leaves such a stack to the operator before it requests a change"
    " set.",
    install=install,
)
