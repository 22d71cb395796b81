"""Each state machine's role may call what its definition calls, and nothing else."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.unit.rights.statements import content, of
from tools.generate_parameters import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

# Log delivery of a state machine.
# https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
LOGGING = {
    "logs:CreateLogDelivery",
    "logs:CreateLogStream",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutLogEvents",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}
# https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html
INTEGRATIONS = {
    "aws-sdk:sfn:startSyncExecution": "states:StartSyncExecution",
    "lambda:invoke": "lambda:InvokeFunction",
}
# https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
DISTRIBUTED_MAP = "states:StartExecution"


def _machines() -> dict[str, Any]:
    return {
        name: resource["Properties"]
        for name, resource in content()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    }


MACHINES = sorted(_machines())


def _definition(machine: str) -> Any:
    return yaml.safe_load((ROOT / _machines()[machine]["DefinitionUri"]).read_text())


def _tasks(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("Type") == "Task":
            yield node
        for item in node.values():
            yield from _tasks(item)
    elif isinstance(node, list):
        for item in node:
            yield from _tasks(item)


def _integration(task: dict[str, Any]) -> str:
    return str(task["Resource"]).split(":states:::")[1]


def _invoked(machine: str) -> set[str]:
    """Logical ids of the functions that a definition invokes, through its substitutions."""
    substitutions = _machines()[machine]["DefinitionSubstitutions"]
    found = set()
    for task in _tasks(_definition(machine)):
        if _integration(task) == "lambda:invoke":
            named = re.fullmatch(r"\$\{(\w+)\}", task["Arguments"]["FunctionName"])
            assert named is not None
            found.add(substitutions[named[1]]["Ref"].split(".")[0])
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_functions_invoked_are_functions_allowed(machine: str) -> None:
    allowed = [
        re.sub(r"^\$\{(\w+)\.Arn\}:\*$", r"\1", resource["Fn::Sub"])
        for statement in of(machine)
        if statement.actions == ["lambda:InvokeFunction"]
        for resource in statement.resources
    ]
    assert sorted(allowed) == sorted(_invoked(machine))


@pytest.mark.parametrize("machine", MACHINES)
def test_actions_are_those_of_the_integrations_and_of_logging(machine: str) -> None:
    definition = _definition(machine)
    used = {INTEGRATIONS[_integration(task)] for task in _tasks(definition)}
    if "DISTRIBUTED" in str(definition):
        used.add(DISTRIBUTED_MAP)
    granted = {action for one in of(machine) if one.allows for action in one.actions}
    assert sorted(granted) == sorted(used | LOGGING)


@pytest.mark.parametrize("machine", MACHINES)
def test_substitutions_are_those_the_definition_has(machine: str) -> None:
    named = set(re.findall(r"\$\{(\w+)\}", json.dumps(_definition(machine))))
    assert sorted(_machines()[machine]["DefinitionSubstitutions"]) == sorted(named)


@pytest.mark.parametrize("machine", MACHINES)
def test_functions_are_called_by_published_version(machine: str) -> None:
    for name, value in _machines()[machine]["DefinitionSubstitutions"].items():
        if name in _invoked(machine):
            assert value["Ref"].endswith(".Version"), name


def test_every_definition_belongs_to_a_machine() -> None:
    used = sorted(one["DefinitionUri"] for one in _machines().values())
    there = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("statemachines/*.asl.yaml"))
    assert used == there
