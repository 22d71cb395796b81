from __future__ import annotations

from pathlib import Path

import pytest
from lifecycle.core.parameters import cluster_parameters
from lifecycle.core.request import read_provision_request
from lifecycle.core.trial import DEFAULTS, FIXED, tags, trial_parameters, trial_template

from tools.generate_parameters import TEMPLATE, load_template


@pytest.fixture
def rewritten(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(trial_template(TEMPLATE.read_bytes()))
    return path


def test_the_template_of_a_trial_retains_nothing(rewritten: Path) -> None:
    for name, resource in load_template(rewritten)["Resources"].items():
        # Aurora's default is a snapshot; everybody else's is deletion.
        assert resource.get("DeletionPolicy", "Delete") == "Delete", name
        if resource["Type"] != "AWS::ECS::TaskDefinition":
            assert resource.get("UpdateReplacePolicy", "Delete") == "Delete", name
    database = load_template(rewritten)["Resources"]["DatabaseCluster"]
    assert database["DeletionPolicy"] == "Delete"


def test_it_is_the_same_template_in_everything_else(rewritten: Path) -> None:
    def without_policies(path: Path) -> list[str]:
        lines = path.read_text().splitlines()
        return [line for line in lines if "Policy: " not in line]

    assert without_policies(rewritten) == without_policies(TEMPLATE)
    assert len(rewritten.read_text().splitlines()) == len(TEMPLATE.read_text().splitlines())


def test_what_a_trial_fills_in_is_valid_and_the_smallest_there_is() -> None:
    parameters = {**DEFAULTS, **FIXED, "Trial": "true"}
    request = read_provision_request(
        {"clusterName": "demo", "parameters": parameters}, cluster_parameters()
    )
    assert request.parameters == parameters
    declared = cluster_parameters()
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
