"""An update with rollback disabled replaces nothing, and the stack accepts no other update."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import (
    changesets,
    cloudformation,
    cloudformation_api,
    helpers,
    provisioners,
    stacks,
)
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from local.aws.strict import Strictness

REASON: Final = "Replacement type updates not supported on stack with disable-rollback."
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackStack.html
_STABLE: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)

_disabled: contextvars.ContextVar[bool] = contextvars.ContextVar("disabled", default=False)


def install(_strictness: Strictness) -> None:
    """Mark updates without roll-back, and refuse their replacements resource by resource."""
    marked = _marked(stacks.deploy_stack_async)
    stacks.deploy_stack_async = changesets.deploy_stack_async = marked
    refused = _refused(provisioners.custom_named_replacement_error)
    stacks.custom_named_replacement_error = refused
    provisioners.custom_named_replacement_error = refused
    actions = cloudformation_api.ACTION_HANDLERS
    actions["ExecuteChangeSet"] = _only_from_settled(actions["ExecuteChangeSet"])
    actions["RollbackStack"] = _to_a_stable_state(actions["RollbackStack"])


def _marked(own: Any) -> Any:
    async def deploy(
        name: str, stack_id: str, template: Any, values: Any, disable: bool, *rest: Any, **more: Any
    ) -> Any:
        token = _disabled.set(disable and bool(more.get("is_update")))
        try:
            return await own(name, stack_id, template, values, disable, *rest, **more)
        finally:
            _disabled.reset(token)

    return deploy


def _refused(own: Any) -> Any:
    def error(kind: str, old: Mapping[str, Any], new: Mapping[str, Any], *rest: Any) -> Any:
        if _disabled.get() and provisioners.replacing_change(kind, old, new):
            return REASON
        return own(kind, old, new, *rest)

    return error


def refusal(status: str, on_failure: str, *, disable: bool) -> str:
    """Why AWS does not update a stack in `status`; empty where it does."""
    if status not in {"CREATE_FAILED", "UPDATE_FAILED"} or on_failure == "DO_NOTHING" or disable:
        return ""
    return (
        f"This stack is currently in a non-terminal [{status}] state. To update the stack from"
        " this state, please use the disable-rollback parameter with update-stack API. To rollback"
        " to the last known good state, use the rollback-stack API"
    )


def _only_from_settled(own: Any) -> Any:
    def execute(parameters: Mapping[str, Any]) -> Any:
        named = helpers.p(parameters, "ChangeSetName"), helpers.p(parameters, "StackName")
        _, change_set = changesets.find_change_set(*named)
        stack = cloudformation.stacks.get((change_set or {}).get("StackName", "")) or {}
        disable = helpers.p(parameters, "DisableRollback", "false").lower() == "true"
        found = refusal(
            stack.get("StackStatus", ""),
            (change_set or {}).get("OnStackFailure", ""),
            disable=disable,
        )
        return helpers.error("ValidationError", found) if found else own(parameters)

    return execute


def was_stable(events: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a stack with these events has a state to roll back to."""
    return any(
        event["ResourceType"] == "AWS::CloudFormation::Stack" and event["ResourceStatus"] in _STABLE
        for event in events
    )


def undone_from_nothing(operation: Mapping[str, Any], resources: Iterable[str]) -> dict[str, Any]:
    """What is rolled back in a stack that was never stable: the making of all that it holds."""
    return {
        **operation,
        "is_update": False,
        "previous_stack": None,
        "failed_update": None,
        "created": list(resources),
    }


def _to_a_stable_state(own: Any) -> Any:
    def roll_back(parameters: Mapping[str, Any]) -> Any:
        stack = cloudformation_api.resolve_stack(helpers.p(parameters, "StackName")) or {}
        operation = stack.get("_failed_operation")
        if operation and not was_stable(cloudformation.stack_events[stack["StackId"]]):
            stack["_failed_operation"] = undone_from_nothing(operation, stack["_resources"])
        return own(parameters)

    return roll_back


RULE: Final = Rule(
    name="replacement-needs-rollback",
    does="An update with `OnStackFailure: DO_NOTHING` fails at the first resource that needs"
    " replacement. The stack is then in UPDATE_FAILED and accepts no update with rollback enabled"
    " until RollbackStack is called, which deletes the stack if it was never complete.",
    source="https://github.com/aws/aws-sam-cli/issues/4164",
    caught="every change of a task definition, and so of an image or setting, failed and left the"
    " stack in UPDATE_FAILED; a creation that had failed twice would have been rolled back.",
    install=install,
)
