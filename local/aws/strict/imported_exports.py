"""What another stack imports is neither changed nor removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import cloudformation, cloudformation_api, helpers, stacks
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from local.aws.strict import Strictness

# What a stack in these states imported is free.
_GONE: Final = ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS")


def install(_strictness: Strictness) -> None:
    """Check the exports of a stack when its outputs are resolved, and before it is deleted."""
    stacks.resolve_stack_outputs = _kept(stacks.resolve_stack_outputs)
    actions = cloudformation_api.ACTION_HANDLERS
    actions["DeleteStack"] = _needed(actions["DeleteStack"])


def _kept(own: Any) -> Any:
    def resolve(*given: Any, **named: Any) -> Any:
        outputs, exports = own(*given, **named)
        stack_id = given[-1]
        before = {name: one for name, one in _exported() if one["StackId"] == stack_id}
        if refused := refusal(before, exports, importers):
            raise ValueError(refused)
        for name in before.keys() - exports.keys():
            cloudformation.exports.pop(name, None)
        return outputs, exports

    return resolve


def _needed(own: Any) -> Any:
    def delete(parameters: Mapping[str, list[str]]) -> Any:
        stack = cloudformation_api.resolve_stack(parameters["StackName"][0]) or {}
        before = {name: one for name, one in _exported() if one["StackId"] == stack.get("StackId")}
        if refused := refusal(before, {}, importers):
            return helpers.error("ValidationError", refused)
        return own(parameters)

    return delete


def _exported() -> Iterable[tuple[str, Mapping[str, str]]]:
    return list(cloudformation.exports.items())


def importers(export: str) -> list[str]:
    """Names of the stacks that import an export, also of those whose last change failed."""
    return sorted(
        name
        for name, stack in list(cloudformation.stacks.items())
        if stack.get("StackStatus") not in _GONE
        and export in cloudformation_api.imported_export_names(stack, name)
    )


def refusal(
    before: Mapping[str, Mapping[str, str]],
    after: Mapping[str, Mapping[str, str]],
    by: Callable[[str], list[str]],
) -> str:
    """Why the exports of a stack cannot become others; empty if they can.

    Exports are by name; `by` gives the stacks that import one.
    """
    for name, export in before.items():
        kept = after.get(name)
        if kept is not None and kept["Value"] == export["Value"]:
            continue
        if users := by(name):
            verb = "deleted" if kept is None else "updated"
            return f"Export {name} cannot be {verb} as it is in use by {', '.join(users)}"
    return ""


RULE: Final = Rule(
    name="imported-exports",
    does="While a stack imports an output of another one, this output can neither change its value"
    " nor be removed, and the stack that exports it cannot be deleted.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html",
    caught="nothing yet.",
    install=install,
)
