"""CloudFormation replaces nothing, and goes on with nothing that failed, unless asked rightly."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import changesets, cloudformation, handlers, helpers, provisioners, stacks
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from local.aws.strict import Strictness

REPLACEMENT: Final = "Replacement type updates not supported on stack with disable-rollback."
# https://github.com/aws/aws-cli/issues/6368
# https://github.com/aws/aws-cdk-cli/issues/1973 (the same words from a change set)
NON_TERMINAL: Final = (
    "This stack is currently in a non-terminal [{status}] state. To update the stack from this"
    " state, please use the disable-rollback parameter with update-stack API. To rollback to the"
    " last known good state, use the rollback-stack API"
)
# https://github.com/code-dot-org/code-dot-org/pull/68524, of CreateStack with OnFailure. The API's
# reference calls OnStackFailure of a change set the same as DisableRollback of its execution;
# nobody has reported which of the two it is here, so it is taken for the harder one.
ON_FAILURE: Final = (
    "This stack cannot be updated from [CREATE_FAILED] state because it contains [on-failure:"
    " DO_NOTHING]. Please use disable-rollback option instead during stack creation."
)
_FAILED: Final = frozenset({"CREATE_FAILED", "UPDATE_FAILED"})
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

_rollback_is_off: ContextVar[bool] = ContextVar("rollback_is_off", default=False)


def refusal(status: str, *, on_failure: str, rollback_is_off: bool) -> str:
    """Why CloudFormation does not begin an update of a stack; empty if it does.

    ``on_failure`` is what its creation was told to do on failure, in those words.
    """
    if status == "CREATE_FAILED" and on_failure == "DO_NOTHING":
        return ON_FAILURE
    if status in _FAILED and not rollback_is_off:
        return NON_TERMINAL.format(status=status)
    return ""


def was_stable(events: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a stack with these events has a last known stable state."""
    return any(
        event["ResourceType"] == "AWS::CloudFormation::Stack" and event["ResourceStatus"] in _STABLE
        for event in events
    )


def undone_from_nothing(
    operation: Mapping[str, Any], resources: Mapping[str, Any]
) -> dict[str, Any]:
    """Operation to roll back in a stack without a stable state: the making of all it holds."""
    return {
        **operation,
        "is_update": False,
        "previous_stack": None,
        "failed_update": None,
        "created": list(resources),
    }


def install(_strictness: Strictness) -> None:
    """Ask before an update begins, before a resource is replaced, and before a rollback."""
    actions = handlers.ACTION_HANDLERS
    actions["ExecuteChangeSet"] = _executing(actions["ExecuteChangeSet"])
    actions["UpdateStack"] = _updating(actions["UpdateStack"])
    actions["RollbackStack"] = _rolling_back(actions["RollbackStack"])
    changesets.deploy_stack_async = _remembering(changesets.deploy_stack_async)
    handlers.deploy_stack_async = _remembering(handlers.deploy_stack_async)
    stacks.update_resource = _replacing(stacks.update_resource)


def _executing(own: Any) -> Any:
    def execute(params: Any) -> Any:
        asked = helpers.p(params, "ChangeSetName"), helpers.p(params, "StackName")
        _, change_set = changesets.find_change_set(*asked)
        stack = cloudformation.stacks.get((change_set or {}).get("StackName"))
        if change_set is None or stack is None:
            return own(params)
        on_failure = change_set.get("OnStackFailure", "")
        if change_set["ChangeSetType"] == "CREATE":
            stack["_on_failure"] = on_failure
        off = on_failure == "DO_NOTHING" or _is_off(params)
        return _refused(stack, rollback_is_off=off) or own(params)

    return execute


def _updating(own: Any) -> Any:
    def update(params: Any) -> Any:
        stack = handlers.resolve_stack(helpers.p(params, "StackName"))
        return (stack and _refused(stack, rollback_is_off=_is_off(params))) or own(params)

    return update


def _is_off(params: Any) -> bool:
    return str(helpers.p(params, "DisableRollback", "false")).lower() == "true"


def _refused(stack: Mapping[str, Any], *, rollback_is_off: bool) -> Any:
    words = refusal(
        stack["StackStatus"],
        on_failure=stack.get("_on_failure", ""),
        rollback_is_off=rollback_is_off,
    )
    return helpers.error("ValidationError", words) if words else None


def _rolling_back(own: Any) -> Any:
    def roll_back(params: Any) -> Any:
        stack = handlers.resolve_stack(helpers.p(params, "StackName"))
        operation = (stack or {}).get("_failed_operation")
        if operation and not was_stable(cloudformation.stack_events[stack["StackId"]]):
            stack["_failed_operation"] = undone_from_nothing(operation, stack["_resources"])
        return own(params)

    return roll_back


def _remembering(own: Any) -> Any:
    async def deploy(
        name: str, stack_id: str, template: Any, values: Any, off: bool, *rest: Any, **more: Any
    ) -> Any:
        _rollback_is_off.set(off)  # of this operation's task, which nothing else runs in
        return await own(name, stack_id, template, values, off, *rest, **more)

    return deploy


def _replacing(own: Any) -> Any:
    def update(resource_type: str, physical_id: str, old: Any, new: Any, *rest: Any) -> Any:
        if _rollback_is_off.get() and provisioners.replacing_change(resource_type, old, new):
            raise ValueError(REPLACEMENT)
        return own(resource_type, physical_id, old, new, *rest)

    return update


RULE: Final = Rule(
    name="replacement-needs-rollback",
    does="With rollback turned off, a resource that an update would replace ends in"
    " UPDATE_FAILED, and so does its stack. A stack in CREATE_FAILED or UPDATE_FAILED takes only"
    " updates with rollback turned off, or RollbackStack, which deletes it if it was never"
    " complete.",
    source="https://github.com/aws/aws-cdk/issues/30546",
    caught="every update sent OnStackFailure DO_NOTHING: a change of the image failed at the task"
    " definition, and no later operation could bring the stack out of UPDATE_FAILED.",
    install=install,
)
