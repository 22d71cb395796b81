from __future__ import annotations

import json
from typing import Any

import pytest
from lifecycle.cluster.trial import DEFAULTS, FIXED, tags, trial_parameters
from lifecycle.errors import InvalidRequest
from lifecycle.provisioning.request import read_provision_request
from lifecycle.provisioning.template import effective_template

from tests.support.declared import in_clear
from tools.generate_parameters import SHIPPED, load_template


@pytest.fixture
def changed() -> dict[str, Any]:
    body = effective_template(SHIPPED.read_bytes(), {"Trial": "true"}, {})
    template: dict[str, Any] = json.loads(body)
    return template


def test_the_template_of_a_trial_retains_nothing(changed: dict[str, Any]) -> None:
    for name, resource in changed["Resources"].items():
        # Aurora's default is a snapshot; everybody else's is deletion.
        assert resource.get("DeletionPolicy", "Delete") == "Delete", name
        if resource["Type"] != "AWS::ECS::TaskDefinition":
            assert resource.get("UpdateReplacePolicy", "Delete") == "Delete", name
    assert changed["Resources"]["DatabaseCluster"]["DeletionPolicy"] == "Delete"


def test_it_is_the_same_template_in_everything_else(changed: dict[str, Any]) -> None:
    def without_policies(template: dict[str, Any]) -> dict[str, Any]:
        resources = {
            name: {k: v for k, v in resource.items() if not k.endswith("Policy")}
            for name, resource in template["Resources"].items()
        }
        return {**template, "Resources": resources}

    assert without_policies(changed) == without_policies(load_template())


def test_what_a_trial_fills_in_is_valid_and_the_smallest_there_is() -> None:
    parameters = {**DEFAULTS, **FIXED, "Trial": "true"}
    request = read_provision_request({"clusterName": "demo", "parameters": parameters}, in_clear())
    assert request.parameters == parameters
    declared = in_clear()
    for name in ("BrokerCpu", "ConnectorsCpu", "LogRetentionDays"):
        values = declared[name]["allowedValues"]
        assert isinstance(values, list)
        assert DEFAULTS[name] == min(values, key=int)
    for name in ("Brokers", "DatabaseInstances", "DatabaseBackupRetentionDays"):
        assert DEFAULTS[name] == str(declared[name]["min"])


def test_sizes_can_be_asked_for_and_protection_cannot() -> None:
    filled = trial_parameters({"Trial": "true", "Brokers": "3"})
    assert filled["Brokers"] == "3"
    assert filled["DatabaseDeletionProtection"] == "false"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [({"Trial": "true"}, {"camunda:trial": "true"}), ({"Trial": "false"}, {}), ({}, {})],
)
def test_the_stack_says_what_it_is(parameters: dict[str, str], expected: dict[str, str]) -> None:
    assert tags(parameters) == expected


def read(parameters: dict[str, object], present: dict[str, str] | None = None) -> dict[str, str]:
    raw = {"clusterName": "demo", "parameters": parameters}
    return dict(read_provision_request(raw, in_clear(), present).parameters)


def test_a_new_trial_is_small_without_being_told() -> None:
    assert read({"Trial": True}) == {"Trial": "true", **DEFAULTS, **FIXED}


def test_a_living_trial_keeps_its_sizes() -> None:
    present = {"Trial": "true", "Brokers": "3", "ReplicationFactor": "3", "Partitions": "3"}
    assert read({"Trial": True}, present) == {"Trial": "true"}


@pytest.mark.parametrize("wanted", [True, False])
def test_what_a_cluster_is_cannot_be_changed(wanted: bool) -> None:
    present = {"Trial": str(not wanted).lower()}
    with pytest.raises(InvalidRequest, match=r"parameters\.Trial"):
        read({"Trial": wanted}, present)


def test_protection_of_a_trial_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read({"Trial": True, "DatabaseDeletionProtection": True, "ContainerInsights": "enhanced"})
    fields = [problem["field"] for problem in refused.value.problems]
    assert fields == ["parameters.DatabaseDeletionProtection", "parameters.ContainerInsights"]
