"""What clusters import of the control plane, and which of its parameters are fixed by that.

CloudFormation refuses to change an export that a stack imports.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.support.nested import in_root
from tests.unit.rights.statements import content
from tools.generate_parameters import ROOT, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORK = "Network"
NAMED = re.compile(r"\$\{(\w+)\}")
PAGE = ROOT / "docs" / "network.md"
HEADING = "## After the first cluster"


def imported() -> set[str]:
    """Exports that the stacks of clusters import, without the name of the control stack."""
    texts = [
        (ROOT / "stacks" / f"{name}.yaml").read_text() for name in ("cluster", "adopted-cluster")
    ]
    return {
        name
        for text in texts
        for name in re.findall(r'"Fn::ImportValue": !Sub "\$\{ControlStack\}-(\w+)"', text)
    }


def exported() -> dict[str, Any]:
    """Values of the exports, by name without that of the control stack."""
    return {
        output["Export"]["Name"]["Fn::Sub"].removeprefix("${AWS::StackName}-"): output["Value"]
        for output in content()["Outputs"].values()
        if "Export" in output
    }


def _create_only(resource: dict[str, Any]) -> list[Any]:
    """Properties whose change replaces a resource, and thereby its ids."""
    if resource["Type"].startswith("AWS::Serverless::"):
        # Named by the control stack alone.
        return []
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-central-1", resource["Type"]).schema
    fixed = [path.split("/")[2] for path in schema.get("createOnlyProperties", [])]
    return [resource["Properties"][name] for name in fixed if name in resource["Properties"]]


class Reach:
    """Which parameters of the control plane decide about a value."""

    def __init__(self) -> None:
        self.known: dict[str, set[str]] = {}
        self.root = content()
        network = in_root(load_template(ROOT / "stacks" / "network.yaml"), NETWORK)
        self.outputs = {name: output["Value"] for name, output in network["Outputs"].items()}
        self.resources = self.root["Resources"] | network["Resources"]
        self.conditions = self.root["Conditions"] | network.get("Conditions", {})

    def parameters(self, value: Any) -> Iterator[str]:
        if isinstance(value, list):
            for one in value:
                yield from self.parameters(one)
            return
        if not isinstance(value, dict):
            return
        for function, given in value.items():
            match function:
                case "Ref":
                    yield from self._named(given)
                case "Fn::GetAtt":
                    name, _, output = ".".join(given).partition(".Outputs.")
                    of_network = name == NETWORK and output
                    yield from (
                        self.parameters(self.outputs[output])
                        if of_network
                        else self._named(name.split(".")[0])
                    )
                case "Fn::If":
                    yield from self.parameters(self.conditions[given[0]])
                    yield from self.parameters(given[1:])
                case "Condition":
                    yield from self.parameters(self.conditions[given])
                case "Fn::Sub":
                    text = given if isinstance(given, str) else given[0]
                    for name in NAMED.findall(text):
                        yield from self._named(name)
                case _:
                    yield from self.parameters(given)

    def _named(self, name: str) -> Iterator[str]:
        if name not in self.known:
            self.known[name] = set()
            if name in self.root["Parameters"]:
                self.known[name] = {name}
            elif resource := self.resources.get(name):
                self.known[name] = set(self.parameters(_create_only(resource)))
        yield from self.known[name]


def test_everything_imported_is_exported() -> None:
    assert imported()
    assert imported() - exported().keys() == set()


def test_parameters_that_change_an_imported_value_are_documented() -> None:
    reach = Reach()
    fixed = {name for key in imported() for name in reach.parameters(exported()[key])}
    section = PAGE.read_text().partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    assert {"VpcId", "ZoneA"} <= fixed
    assert fixed & {"NatGateways", "VpcFlowLogs", "LogLevel"} == set()
    named = set(re.findall(r"`(\w+)`", section)) & reach.root["Parameters"].keys()
    assert named == fixed
