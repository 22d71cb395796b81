"""A resource whose condition changes is created or removed, and a change set shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import changesets
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness


def install(_strictness: Strictness) -> None:
    """Compare templates by the resources that their conditions let be."""
    changesets.resolve_props_for_diff = _of_those_that_are(changesets.resolve_props_for_diff)


def _of_those_that_are(own: Any) -> Any:
    def resolve(template: Mapping[str, Any], parameters: Mapping[str, Any], *rest: Any) -> Any:
        resolved = own(template, parameters, *rest)
        if not resolved:
            return resolved
        conditions = changesets.evaluate_conditions(template, parameters)
        return {"Resources": those_that_are(resolved["Resources"], conditions)}

    return resolve


def those_that_are(
    resources: Mapping[str, Any], conditions: Mapping[str, bool]
) -> dict[str, Mapping[str, Any]]:
    """Resources without a condition, or with one that is true."""
    return {
        name: resource
        for name, resource in resources.items()
        if conditions.get(resource.get("Condition", ""), True)
    }


RULE: Final = Rule(
    name="conditional-resources",
    does="A change set adds a resource whose condition becomes true and removes one whose"
    " condition becomes false, even if only a parameter differs.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/conditions-section-structure.html",
    caught="nothing in the application: the emulator returned an empty change set, so a listener"
    " that was switched off remained on this machine.",
    install=install,
)
