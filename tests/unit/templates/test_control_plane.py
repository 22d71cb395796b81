"""The control plane as its templates divide it: sizes, limits of IAM, what the stacks pass on."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import pytest

from tests.support.nested import CONTROL, expanded, flattened, templates
from tests.support.sam import translated
from tools.generate_parameters import ROOT, load_template

# A reader has to find a resource in it. It grows by whole functions and machines: their roles name
# what is defined beside them.
MOST_LINES = 3340
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
POLICIES_OF_A_ROLE = 10
CHARACTERS_OF_A_POLICY = 6144
CHARACTERS_OF_A_NAME = 128
# Longer than those of any partition and region, so that a policy that fits here fits everywhere.
LONGEST = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "ap-northeast-1",
    "AWS::AccountId": "1" * 12,
    "AWS::StackName": "s" * 30,
    "AWS::URLSuffix": "amazonaws.com.cn",
}


@functools.cache
def _shared() -> dict[str, Any]:
    return {
        name: resource
        for name, resource in flattened()["Resources"].items()
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
    }


def test_the_template_stays_short_enough_to_read() -> None:
    assert len(CONTROL.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("name", sorted(_shared()))
def test_a_managed_policy_fits(name: str) -> None:
    """White space does not count; a value that only AWS knows counts as 100 characters."""
    document = _written_out(_shared()[name]["Properties"]["PolicyDocument"])
    assert len(json.dumps(document, separators=(",", ":"))) <= CHARACTERS_OF_A_POLICY


def _written_out(node: Any) -> Any:
    if isinstance(node, list):
        return [_written_out(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "Ref" in node:
        return LONGEST.get(node["Ref"], "x" * 100)
    if "Fn::GetAtt" in node or "Fn::If" in node:
        return "x" * 100
    if "Fn::Sub" in node:
        text = node["Fn::Sub"] if isinstance(node["Fn::Sub"], str) else node["Fn::Sub"][0]
        return re.sub(r"\$\{([^}]+)\}", lambda found: LONGEST.get(found[1], "x" * 100), text)
    return {key: _written_out(item) for key, item in node.items()}


def test_no_role_has_more_policies_than_iam_attaches() -> None:
    attached = {
        name: resource["Properties"].get("ManagedPolicyArns", [])
        for name, resource in translated().items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    assert any(len(policies) > 1 for policies in attached.values())
    assert [name for name, one in attached.items() if len(one) > POLICIES_OF_A_ROLE] == []


def test_every_shared_policy_and_boundary_is_a_roles() -> None:
    roles = json.dumps([one for one in translated().values() if one["Type"] == "AWS::IAM::Role"])
    assert [name for name in _shared() if f'{{"Ref": "{name}"}}' not in roles] == []


@pytest.mark.parametrize("stack", sorted(templates()))
def test_a_nested_stack_is_given_what_it_declares_and_declares_what_it_uses(stack: str) -> None:
    child = expanded(templates()[stack])
    given = load_template(CONTROL)["Resources"][stack]["Properties"]["Parameters"]
    assert set(given) == set(child["Parameters"])
    used = json.dumps([child["Resources"], child.get("Outputs"), child.get("Conditions")])
    unused = [one for one in given if f'"{one}"' not in used and f"${{{one}}}" not in used]
    assert unused == []


@pytest.mark.parametrize("stack", sorted(templates()))
def test_a_nested_stack_names_things_by_the_control_stack_and_not_by_its_own(stack: str) -> None:
    """`AWS::StackName` in it would be the nested stack's name, with a random ending."""
    assert "AWS::StackName" not in json.dumps(expanded(templates()[stack])["Resources"])


def test_each_row_of_the_alarms_is_an_alarm() -> None:
    written = load_template(templates()["Monitoring"])
    rows = set(written["Mappings"]["Alarms"])
    made = set(expanded(templates()["Monitoring"])["Resources"])
    assert rows
    assert rows <= made


@pytest.mark.parametrize("stack", sorted(templates()))
def test_every_output_of_a_nested_stack_is_used(stack: str) -> None:
    text = json.dumps(load_template(CONTROL))
    outputs = expanded(templates()[stack]).get("Outputs", {})
    names = [f"Outputs.{name}" for name in outputs]
    assert [one for one in names if f'"{one}"' not in text and f".{one}}}" not in text] == []


def test_what_holds_data_is_in_the_root() -> None:
    """There its DeletionPolicy is read first, and no update of a nested stack can remove it."""
    for path in templates().values():
        kept = [
            name
            for name, resource in expanded(path)["Resources"].items()
            if resource.get("DeletionPolicy", "Delete") != "Delete"
        ]
        assert kept == [], path.name


def test_each_route_that_starts_something_has_a_throttle_of_its_own() -> None:
    resources = _template()["Resources"]
    settings = {
        (one["ResourcePath"], one["HttpMethod"]): one
        for one in resources["Api"]["Properties"]["MethodSettings"]
    }
    most = settings.pop(("/*", "*"))
    events = resources["ServeApi"]["Properties"]["Events"].values()
    routes = {(one["Properties"]["Path"], one["Properties"]["Method"]) for one in events}
    costly = {
        ("/~1" + path.strip("/").replace("/", "~1"), method)
        for path, method in routes
        # Of the others that read, only the links to a report read the bucket and sign.
        if method != "GET" or "{name}" in path or path.endswith("/report")
    }
    assert set(settings) == costly
    for one in settings.values():
        assert one["ThrottlingRateLimit"] < most["ThrottlingRateLimit"]
        assert one["ThrottlingBurstLimit"] < most["ThrottlingBurstLimit"]
        assert one["MetricsEnabled"] is True


def test_no_concurrency_is_reserved_by_default() -> None:
    """A new account has 10 concurrent executions, and none of them can be reserved."""
    template = _template()
    function = template["Resources"]["ServeApi"]["Properties"]
    assert function["ReservedConcurrentExecutions"]["Fn::If"][0] == "ReservesApiConcurrency"
    assert template["Parameters"]["ApiConcurrency"]["Default"] == 0


def _template() -> dict[str, Any]:
    return load_template(ROOT / "template.yaml")


def test_readme_names_every_parameter_of_the_control_plane() -> None:
    text = (ROOT / "README.md").read_text()
    table = text.split("### Parameters of `sam deploy`")[1].split("\n\nCustom tags")[0]
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", table))
    assert set(load_template(CONTROL)["Parameters"]) - named == set()
