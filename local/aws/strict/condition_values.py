"""A condition compares values that functions make of parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import changesets, cloudformation_api, engine, stacks
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_VARIABLE: Final = re.compile(r"\$\{([^!}]+)\}")


def install(_strictness: Strictness) -> None:
    """Give the emulator conditions whose values are there already."""
    own = engine.evaluate_conditions
    # Each of the others has the name for itself.
    engine.evaluate_conditions = _with_values(own)
    changesets.evaluate_conditions = _with_values(own)
    cloudformation_api.evaluate_conditions = _with_values(own)
    stacks.evaluate_conditions = _with_values(own)


def _with_values(own: Any) -> Any:
    def evaluate(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
        conditions = valued(template.get("Conditions") or {}, parameters)
        return own({**template, "Conditions": conditions}, parameters)

    return evaluate


def valued(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Give conditions with a text for each function of texts; the others are as they were.

    `parameters` are the emulator's, an object with `Value` by name. Raises ValueError for a
    selection that is not there, in CloudFormation's words.
    """
    if isinstance(value, list):
        return [valued(one, parameters) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: valued(one, parameters) for name, one in value.items()}
    match found:
        case {"Fn::Sub": str(text)} if all(one in parameters for one in _VARIABLE.findall(text)):
            return _VARIABLE.sub(lambda one: str(parameters[one[1]]["Value"]), text)
        case {"Fn::Split": [str(between), str(text)]}:
            return text.split(between)
        case {"Fn::Join": [str(between), [*texts]]} if all(isinstance(one, str) for one in texts):
            return between.join(texts)
        case {"Fn::Select": [index, [*texts]]}:
            if not 0 <= int(index) < len(texts):
                raise ValueError(
                    f"Template error: Fn::Select cannot select nonexistent value at index {index}"
                )
            return texts[int(index)]
    return found


RULE: Final = Rule(
    name="condition-values",
    does="A condition compares what `Fn::Sub`, `Fn::Split`, `Fn::Join` and `Fn::Select` make of"
    " parameters.",
    source="https://github.com/aws-cloudformation/cfn-lint/blob/main/src/cfnlint/data/schemas/other/functions/equals.json"
    " (AWS's own page names fewer functions)",
    caught="nothing in the application: the emulator rejected each template with such a condition,"
    " and with it the creation of every cluster on this machine.",
    install=install,
)
