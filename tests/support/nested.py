"""The control plane as one template: resources of nested stacks as if they stood in the root."""

from __future__ import annotations

import copy
import functools
import re
from typing import TYPE_CHECKING, Any

from local.aws.emulator import engine
from tools.generate_parameters import ROOT, load_template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONTROL = ROOT / "template.yaml"
_STACK = "AWS::CloudFormation::Stack"
_NAMED = re.compile(r"\$\{([A-Za-z][\w:.]*)\}")


def templates() -> Mapping[str, Path]:
    """Give the templates of all nested stacks but the network, by their logical ids.

    An existing VPC may stand for the network, so that its resources are not the control plane's.
    """
    return {
        name: ROOT / resource["Properties"]["TemplateURL"]
        for name, resource in load_template(CONTROL)["Resources"].items()
        if resource["Type"] == _STACK and name != "Network"
    }


def expanded(template: Path) -> dict[str, Any]:
    """Read a nested template with its loops written out; functions stay as SAM takes them."""
    written = load_template(template)
    if written.get("Transform") != "AWS::LanguageExtensions":
        return written
    found = engine.apply_transforms(written, [])
    assert not isinstance(found, engine.TransformFailed), found.error
    return dict(found)


def in_root(node: Any, stack: str) -> Any:
    """Give a value of a nested template as it would be written in the root.

    A parameter becomes what the root gives for it.
    """
    return _replaced(node, _given(stack))


@functools.cache
def _given(stack: str) -> Mapping[str, Any]:
    given = load_template(CONTROL)["Resources"][stack]["Properties"]["Parameters"]
    return {name: _long(value) for name, value in given.items()}


def flattened() -> dict[str, Any]:
    """Give the root with the resources of its nested stacks in it.

    Outputs and parameters that connect them are replaced by what they stand for. The network stays
    a nested stack; the console, which is conditional, is there.
    """
    root = load_template(CONTROL)
    outputs: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    for stack, path in templates().items():
        child = expanded(path)
        for name, output in child["Outputs"].items() if "Outputs" in child else ():
            outputs[f"{stack}.Outputs.{name}"] = in_root(output["Value"], stack)
        for name, condition in child.get("Conditions", {}).items():
            assert name not in root["Conditions"]
            root["Conditions"][name] = in_root(condition, stack)
        for name, resource in child["Resources"].items():
            assert name not in resources, name
            resources[name] = in_root(resource, stack)
        del root["Resources"][stack]
    assert not resources.keys() & root["Resources"].keys()
    root["Resources"] |= resources
    found: dict[str, Any] = _replaced(root, outputs)
    return found


def _long(value: Any) -> Any:
    return value if isinstance(value, dict) else str(value)


def _replaced(node: Any, values: Mapping[str, Any]) -> Any:
    """Replace references to what `values` names, also in the text of ``Fn::Sub``."""
    if isinstance(node, list):
        return [_replaced(item, values) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        ((function, value),) = node.items()
        if function == "Ref" and value in values:
            return copy.deepcopy(values[value])
        if function == "Fn::GetAtt" and ".".join(value) in values:
            return _replaced(copy.deepcopy(values[".".join(value)]), values)
        if function == "Fn::Sub":
            return {"Fn::Sub": _substituted(value, values)}
    return {key: _replaced(item, values) for key, item in node.items()}


def _substituted(value: Any, values: Mapping[str, Any]) -> Any:
    text, own = (value, {}) if isinstance(value, str) else value
    own = dict(_replaced(own, values))

    def reference(found: re.Match[str]) -> str:
        named = values.get(found[1]) if found[1] not in own else None
        if named is None:
            return found[0]
        if isinstance(named, str):
            return named
        ((function, target),) = named.items()
        if function in {"Ref", "Fn::GetAtt"}:
            return f"${{{target if function == 'Ref' else '.'.join(target)}}}"
        own[found[1]] = copy.deepcopy(named)
        return found[0]

    replaced = _NAMED.sub(reference, text)
    return [replaced, own] if own else replaced
