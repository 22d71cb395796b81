"""Write what is derived from ``stacks/cluster.yaml``, as JSON.

The template itself, which machines extend as data (functions have no YAML reader); its parameters
and the names that it sets, for the validation of requests. The YAML is the only place where they
are declared. Run by ``make generate``; a test refuses drift between the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from lifecycle.services.settings import set_by

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "stacks" / "cluster.yaml"
TARGET = ROOT / "layers" / "lifecycle" / "lifecycle" / "cluster" / "cluster_parameters.json"
ENVIRONMENT = TARGET.with_name("cluster_environment.json")
SHIPPED = TEMPLATE.with_suffix(".json")
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


def render() -> dict[Path, str]:
    """Give the text that each generated file must have."""
    template = load_template()
    contents = {
        TARGET: declarations(template),
        ENVIRONMENT: set_by(template),
        SHIPPED: template,
    }
    return {path: json.dumps(content, indent=2) + "\n" for path, content in contents.items()}


if __name__ == "__main__":
    for path, text in render().items():
        path.write_text(text)
