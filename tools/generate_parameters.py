"""Write the parameters of ``stacks/cluster.yaml`` as JSON for the validation of requests.

The template is the only place where they are declared. Run by ``make generate``; a test refuses
drift between the two files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "stacks" / "cluster.yaml"
TARGET = ROOT / "layers" / "lifecycle" / "lifecycle" / "core" / "cluster_parameters.json"
MACHINE_PARAMETERS = "camunda:machine-parameters"

# CloudFormation's key -> ours.
_KEYS = {
    "Type": "type",
    "Default": "default",
    "MinValue": "min",
    "MaxValue": "max",
    "MinLength": "minLength",
    "MaxLength": "maxLength",
    "AllowedValues": "allowedValues",
    "AllowedPattern": "allowedPattern",
    "Description": "description",
    "ConstraintDescription": "constraint",
}


class _TemplateLoader(yaml.CSafeLoader):
    """Reads YAML with CloudFormation's short forms (``!Ref X``) as their long ones."""


def _long_form(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    return {name: value}


_TemplateLoader.add_multi_constructor("!", _long_form)


def load_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """Read a CloudFormation template; intrinsic functions come in their long form."""
    template: dict[str, Any] = yaml.load(path.read_text(), Loader=_TemplateLoader)  # noqa: S506
    return template


def declarations(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give each parameter as ``cluster_parameters.json`` describes it, in the template's order.

    Defaults and allowed values are strings, as CloudFormation takes them.
    """
    by_machine = template["Metadata"][MACHINE_PARAMETERS]
    found: dict[str, dict[str, Any]] = {}
    for name, declared in template["Parameters"].items():
        found[name] = {ours: declared[key] for key, ours in _KEYS.items() if key in declared}
        if "default" in found[name]:
            found[name]["default"] = str(found[name]["default"])
        if "allowedValues" in found[name]:
            found[name]["allowedValues"] = [str(value) for value in found[name]["allowedValues"]]
        found[name]["machine"] = name in by_machine
    return found


def render() -> str:
    """Give the text that the generated file must have."""
    return json.dumps(declarations(load_template()), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render())
