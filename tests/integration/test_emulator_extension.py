"""Decisions of the emulator's extension that need no emulator."""

from __future__ import annotations

import pytest

from local.aws.shapes import UnknownPropertyError, api_parameters
from local.console import duration
from local.progress import explain

pytestmark = pytest.mark.integration


def test_template_properties_become_api_parameters() -> None:
    task = {
        "Family": "brokers",
        "Cpu": 4096,
        "ContainerDefinitions": [
            {
                "Name": "broker",
                "Essential": "true",
                "PortMappings": [{"ContainerPort": "9600"}],
                "Secrets": [{"Name": "PASSWORD", "ValueFrom": "arn:secret:password::"}],
                "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-Region": "x"}},
                "DependsOn": [{"ContainerName": "init", "Condition": "SUCCESS"}],
            }
        ],
        "Volumes": [
            {
                "Name": "data",
                "EFSVolumeConfiguration": {
                    "FilesystemId": "fs-1",
                    "TransitEncryption": "ENABLED",
                    "AuthorizationConfig": {"AccessPointId": "fsap-1", "IAM": "ENABLED"},
                },
            }
        ],
    }
    container = {
        "name": "broker",
        "essential": True,
        "portMappings": [{"containerPort": 9600}],
        "secrets": [{"name": "PASSWORD", "valueFrom": "arn:secret:password::"}],
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-Region": "x"}},
        "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}],
    }
    efs = {
        "fileSystemId": "fs-1",
        "transitEncryption": "ENABLED",
        "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"},
    }
    assert api_parameters("ecs", "RegisterTaskDefinition", task) == {
        "family": "brokers",
        "cpu": "4096",
        "containerDefinitions": [container],
        "volumes": [{"name": "data", "efsVolumeConfiguration": efs}],
    }


def test_property_that_the_api_does_not_know_is_named() -> None:
    with pytest.raises(UnknownPropertyError, match=r"DeploymentConfiguration\.Surprise"):
        api_parameters("ecs", "CreateService", {"DeploymentConfiguration": {"Surprise": 1}})


@pytest.mark.parametrize(
    ("execution", "sentence"),
    [
        ({"status": "FAILED", "error": "Busy", "cause": "held"}, "Busy: held"),
        (
            {"status": "FAILED", "error": "Busy", "cause": '{"errorMessage": "held"}'},
            "Busy: held",
        ),
        ({"status": "ABORTED"}, "ABORTED"),
        ({"status": "FAILED", "error": "X", "cause": "[1]"}, "X: [1]"),
    ],
)
def test_failed_execution_in_a_sentence(execution: dict[str, str], sentence: str) -> None:
    assert explain(execution) == sentence


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.0 s"), (8.24, "8.2 s"), (74.4, "74 s"), (185, "3 min 05 s")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
