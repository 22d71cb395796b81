"""A new release of the shared code reaches every function, and so does a new value of a parameter.

State machines call published versions. SAM publishes by a hash that sees which parameter is named
and not its value; so a changed ``SecondApproverFor`` would leave them with functions that do
not know of it.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.nested import templates
from tests.support.sam import translated
from tools.generate_parameters import ROOT, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator


def versions(resources: dict[str, Any]) -> dict[str, str]:
    """Logical id of each function's published version; a new one makes AWS publish anew."""
    return {
        re.sub(r"Version[0-9a-f]{10}$", "", name): name
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Version"
    }


@pytest.mark.parametrize("layer", ["LifecycleLayer", "PostgresLayer", "StacksLayer"])
def test_functions_are_published_anew_when_one_of_their_layers_changes(layer: str) -> None:
    before, after = _resources(), translated({layer: "new"})
    users = {
        name
        for name, resource in before.items()
        if resource["Type"] == "AWS::Lambda::Function"
        and any(used["Ref"].startswith(layer) for used in resource["Properties"]["Layers"])
    }
    old, new = versions(before), versions(after)
    assert users
    assert {name for name in old if old[name] != new[name]} == users


def test_every_function_of_the_root_is_published() -> None:
    """Its Globals do so; the one of the console's stack is CloudFormation's, not a machine's."""
    functions = {n for n, r in _resources().items() if r["Type"] == "AWS::Lambda::Function"}
    assert functions - {"PublishConsole"} == set(FUNCTIONS)
    text = templates()["WebConsole"].read_text()
    assert "AutoPublishAlias" not in text


@functools.cache
def _resources() -> dict[str, Any]:
    return translated()


@functools.cache
def _source() -> dict[str, Any]:
    return load_template(ROOT / "template.yaml")


def _named(node: Any) -> Iterator[str]:
    """Names that a value refers to, by ``Ref`` or in the text of ``Fn::Sub``."""
    if isinstance(node, dict):
        for key, item in node.items():
            if key == "Ref":
                yield item
            elif key == "Fn::Sub":
                text, values = (item, {}) if isinstance(item, str) else item
                yield from set(re.findall(r"\$\{(\w+)\}", text)) - values.keys()
                yield from _named(values)
            else:
                yield from _named(item)
    elif isinstance(node, list):
        for item in node:
            yield from _named(item)


def _values(node: Any) -> set[str]:
    """Parameters whose values are in a value."""
    return set(_named(node)) & set(_source()["Parameters"])


# Invoked as they are, not by a version.
LATEST = {"SendMessage": "no operation depends on it"}
FUNCTIONS = sorted(versions(_resources()).keys() & _source()["Resources"].keys())


def _version(function: str) -> dict[str, Any]:
    found: dict[str, Any] = _resources()[versions(_resources())[function]]
    return found


def test_what_is_invoked_without_a_version_is_named_by_no_version() -> None:
    for function in LATEST:
        text = json.dumps(_source())
        assert f'"{function}.Version"' not in text
        assert f'"{function}.Alias"' not in text
        assert f'["{function}", "Arn"]' in text


@pytest.mark.parametrize("function", [one for one in FUNCTIONS if one not in LATEST])
def test_a_version_is_replaced_when_a_value_of_its_function_changes(function: str) -> None:
    """No value less, or an old one stays in use; none more, or Lambda refuses the version."""
    properties = dict(_resources()[function]["Properties"])
    # What is checked when code is deployed is not part of a version.
    properties.pop("CodeSigningConfigArn", None)
    # It belongs to the function, not to a version.
    # https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html
    properties.pop("ReservedConcurrentExecutions", None)
    described = _version(function)["Properties"]["Description"]
    assert _values(described) == _values(properties)
    group = "FunctionSecurityGroup"
    assert (group in set(_named(described))) == (group in set(_named(properties)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_version_that_running_operations_call_is_kept(function: str) -> None:
    version = _version(function)
    assert version["DeletionPolicy"] == "Retain"
    assert version["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_description_of_a_version_is_never_too_long(function: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html"""
    described = _version(function)["Properties"]["Description"]
    text = described if isinstance(described, str) else described["Fn::Sub"]
    text = text if isinstance(text, str) else text[0]
    for name in _named(described):
        declared = _source()["Parameters"].get(name, {})
        longest = declared.get("MaxLength") or max(map(len, declared.get("AllowedValues", [""])))
        if declared.get("Type") == "Number":
            longest = len(str(declared["MaxValue"]))
        if declared.get("Type") == "Number":
            longest = len(str(declared["MaxValue"]))
        # Ids of AWS and names of our own resources; both are short.
        text = text.replace(f"${{{name}}}", "x" * (longest or 36))
    assert len(text) <= 256, text


def test_second_person_bus_and_log_level_are_among_them() -> None:
    def described(function: str) -> set[str]:
        return _values(_version(function)["Properties"]["Description"])

    for function in ("BeginOperation", "PlanStack", "ServeApi"):
        assert {"SecondApproverFor", "PersonalSessionRoles"} <= described(function)
    for function in ("BeginOperation", "FinishOperation", "CleanUpOperation", "JudgeHealth"):
        assert "EventBusName" in described(function)
    assert all("LogLevel" in described(function) for function in FUNCTIONS)


def test_what_outlives_the_stack_outlives_its_replacement_too() -> None:
    """The rule of cfn-lint for it is off, because of the functions."""
    for name, resource in _source()["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            kept = resource.get("DeletionPolicy", "Delete") != "Delete"
            assert (resource.get("UpdateReplacePolicy", "Delete") != "Delete") == kept, name


def test_functions_and_what_is_built_for_them_are_of_one_architecture() -> None:
    """Without a parameter: `sam deploy` could give it another value than `sam build` had."""
    (architecture,) = _source()["Globals"]["Function"]["Architectures"]
    assert isinstance(architecture, str)
    of_functions = [
        resource["Properties"]["Architectures"]
        for resource in _resources().values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]
    assert of_functions == [[architecture]] * (len(FUNCTIONS) + len(["PublishConsole"]))
    layers = [
        resource
        for resource in _source()["Resources"].values()
        if "BuildMethod" in resource.get("Metadata", {})
    ]
    assert len(layers) == 2
    for layer in layers:
        assert layer["Metadata"]["BuildArchitecture"] == architecture
        assert layer["Properties"]["CompatibleArchitectures"] == [architecture]
