"""Every definition is valid States Language after substitution, and leads to an end.

cfn-lint has a schema of the States Language and knows JSONata; what it does not look at, where
states lead and whether expressions parse, is asserted beside it.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from typing import TYPE_CHECKING, Any

import jsonata
import pytest
import yaml
from cfnlint import api
from cfnlint.config import ConfigMixIn, ManualArgs
from cfnlint.rules import RulesCollection
from cfnlint.runner import Runner
from lifecycle.preflight.backup_gate import EXECUTION

from tools.generate_definitions import definitions, policies, render
from tools.generate_parameters import ROOT, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFINITIONS = sorted(path.name.split(".")[0] for path in ROOT.glob("statemachines/*.asl.yaml"))
# What no operation ends by: Lambda failed, or a function died or ran out of time.
PASSING = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.ENINotReadyException",
    "Lambda.EC2ThrottledException",
    "Lambda.ResourceNotReadyException",
    "Lambda.ResourceConflictException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
    "States.Timeout",
}

_FOR = ManualArgs(regions=["eu-central-1"], configure_rules={})


@functools.cache
def _rules() -> RulesCollection:
    return Runner(ConfigMixIn(**_FOR)).rules


@functools.cache
def _template() -> dict[str, Any]:
    return load_template(ROOT / "template.yaml")


@functools.cache
def _definition(name: str) -> dict[str, Any]:
    """Read a definition with every substitution of its machine put in."""
    path = ROOT / "statemachines" / f"{name}.asl.yaml"
    machines = [
        resource["Properties"]
        for resource in _template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::StateMachine"
        and resource["Properties"]["DefinitionUri"] == str(path.relative_to(ROOT))
    ]
    assert len(machines) == 1, f"{path} belongs to {len(machines)} machines"
    text = path.read_text()
    for key in machines[0]["DefinitionSubstitutions"]:
        arn = f"arn:aws:lambda:eu-central-1:123456789012:function:{key}:1"
        text = text.replace(f"${{{key}}}", "aws" if key == "Partition" else arn)
    assert "${" not in text, re.findall(r"\$\{\w+\}", text)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def _limit_of_function(state: dict[str, Any]) -> int | None:
    """Seconds that the function of a task may take; None for a task without one."""
    arn = str((state.get("Arguments") or {}).get("FunctionName", ""))
    if not arn:
        return None
    template = _template()
    properties = template["Resources"][arn.split(":")[-2]]["Properties"]
    return int(properties.get("Timeout", template["Globals"]["Function"]["Timeout"]))


def _problems(definition: dict[str, Any]) -> list[str]:
    """What cfn-lint says of a definition inside a state machine's resource."""
    template = {
        "Resources": {
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "RoleArn": "arn:aws:iam::123456789012:role/machine",
                    "Definition": definition,
                },
            }
        }
    }
    found = api.lint(json.dumps(template), rules=_rules(), config=_FOR)
    return [f"{one.rule.id} {one.message}" for one in found]


def _state_sets(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the machine itself and each part of it that has states of its own."""
    yield definition
    for state in definition["States"].values():
        for inner in [*state.get("Branches", ()), state.get("ItemProcessor")]:
            if inner:
                yield from _state_sets(inner)


def _targets(state: dict[str, Any]) -> set[str]:
    lists = (state.get("Choices", ()), state.get("Catch", ()))
    named = [state.get("Next"), state.get("Default")]
    named += [entry.get("Next") for entries in lists for entry in entries]
    return {name for name in named if name}


def _expressions(node: Any) -> Iterator[str]:
    if isinstance(node, str) and node.startswith("{%"):
        yield node.removeprefix("{%").removesuffix("%}")
    elif isinstance(node, dict):
        for item in node.values():
            yield from _expressions(item)
    elif isinstance(node, list):
        for item in node:
            yield from _expressions(item)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_is_valid(name: str) -> None:
    assert _problems(_definition(name)) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda definition, first: definition["States"][first].update(Type="Tsk"),
        lambda definition, first: definition["States"][first].update(ResultPath="$.x"),
        lambda definition, first: definition["States"][first].pop("Next"),
        lambda definition, _first: definition.update(StartAt="Nowhere"),
    ],
)
def test_a_spoilt_definition_is_refused(spoil: Any) -> None:
    definition = copy.deepcopy(_definition(DEFINITIONS[0]))
    spoil(definition, definition["StartAt"])
    assert _problems(definition) != []


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_state_is_reached_and_leads_to_an_end(name: str) -> None:
    for part in _state_sets(_definition(name)):
        states = part["States"]
        leads = {state: _targets(content) for state, content in states.items()}
        assert set().union(*leads.values()) <= set(states)
        reached, open_ends = {part["StartAt"]}, [part["StartAt"]]
        while open_ends:
            new = leads[open_ends.pop()] - reached
            reached |= new
            open_ends += new
        assert sorted(set(states) - reached) == []
        ends = {
            state
            for state, content in states.items()
            if content["Type"] in {"Succeed", "Fail"} or content.get("End")
        }
        while more := {state for state, to in leads.items() if to & ends} - ends:
            ends |= more
        assert sorted(set(states) - ends) == []


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_expression_parses_and_knows_its_variables(name: str) -> None:
    definition = _definition(name)
    assigned = {
        variable
        for part in _state_sets(definition)
        for state in part["States"].values()
        for holder in [state, *state.get("Choices", ()), *state.get("Catch", ())]
        for variable in holder.get("Assign", {})
    }
    expressions = list(_expressions(definition))
    assert expressions
    for expression in expressions:
        jsonata.Jsonata(expression)
        functions = set(re.findall(r"\$(\w+)\(", expression))
        inner = set(re.findall(r"\$(\w+)\s*:=|function\(\$(\w+)", expression))
        local = {one for pair in inner for one in pair}
        used = set(re.findall(r"\$([a-zA-Z]\w*)", expression)) - functions - local - {"states"}
        assert sorted(used - assigned) == [], expression


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_backup_before_a_move_is_good_for_as_long_as_its_execution_lasts(name: str) -> None:
    definition = _definition(name)
    if "EnsureBackup" in definition["States"]:
        assert definition["TimeoutSeconds"] == EXECUTION.total_seconds()


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_task_has_an_end_a_second_try_and_a_way_out(name: str) -> None:
    definition = _definition(name)
    assert definition["TimeoutSeconds"] > 0
    for part in _state_sets(definition):
        for state, content in part["States"].items():
            if content["Type"] != "Task":
                continue
            assert content["TimeoutSeconds"] > 0, state
            limit = _limit_of_function(content)
            # A function that takes all its time, a cold start besides, has ended before it is
            # tried again. A check that is late is not tried again: it has to be quick.
            if limit is not None and name != "check_health":
                assert limit + 10 <= content["TimeoutSeconds"], state
            assert content["Retry"], state
            caught = [error for one in content["Catch"] for error in one["ErrorEquals"]]
            assert "States.ALL" in caught, state


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_task_that_calls_a_function_has_one_of_the_policies(name: str) -> None:
    known = policies()
    for state, content in _calling(_definition(name)):
        assert content["Retry"] in known.values(), state
        if name != "check_health":
            retried = {error for one in content["Retry"] for error in one["ErrorEquals"]}
            assert retried >= PASSING, state


def test_every_policy_is_used_and_asks_for_each_error_once() -> None:
    used = [content["Retry"] for name in DEFINITIONS for _, content in _calling(_definition(name))]
    for name, policy in policies().items():
        assert policy in used, name
        errors = [error for one in policy for error in one["ErrorEquals"]]
        assert len(errors) == len(set(errors)), name


def test_the_policies_of_the_definitions_are_generated() -> None:
    for path in definitions():
        text = path.read_text()
        assert render(text) == text, "run make generate"


def test_a_policy_is_written_where_it_is_named() -> None:
    around = ("  Seed:\n", "    Catch: []\n    # Policy of nothing\n")
    given = f"{around[0]}    # Policy short\n    Retry:\n      - ErrorEquals: [Old]\n{around[1]}"
    written = render(given)
    assert written.startswith(f"{around[0]}    # Policy short\n    Retry:\n")
    assert written.endswith(around[1])
    assert yaml.safe_load(written)["Seed"]["Retry"] == policies()["short"]
    assert render(written) == written
    with pytest.raises(KeyError, match="long"):
        render("# Policy long\nRetry:\n")


def _calling(definition: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each task that calls a function, by its name."""
    for part in _state_sets(definition):
        for state, content in part["States"].items():
            if str(content.get("Resource", "")).endswith(":lambda:invoke"):
                yield state, content
