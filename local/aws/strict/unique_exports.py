"""One stack of an account and region exports a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import cloudformation, stacks
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness


def install(_strictness: Strictness) -> None:
    """Check the exports of a stack when its outputs are resolved."""
    stacks.resolve_stack_outputs = _unique(stacks.resolve_stack_outputs)


def _unique(own: Any) -> Any:
    def resolve(*given: Any, **named: Any) -> Any:
        outputs, exports = own(*given, **named)
        refused = refusal(exports, cloudformation.exports)
        if refused:
            raise ValueError(refused)
        return outputs, exports

    return resolve


def refusal(
    exports: Mapping[str, Mapping[str, str]], present: Mapping[str, Mapping[str, str]]
) -> str:
    """Why a stack cannot export these; empty if it can."""
    for name, export in exports.items():
        there = present.get(name)
        if there is not None and there["StackId"] != export["StackId"]:
            holder = there["StackId"].split("/")[1]
            return f"Export with name {name} is already exported by stack {holder}."
    return ""


RULE: Final = Rule(
    name="unique-exports",
    does="The name of an export is unique in an account and region: a stack that exports a name of"
    " another one is not created or updated.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "outputs-section-structure.html",
    caught="a second stack adopted a cluster that another one had adopted.",
    install=install,
)
