"""What RunTask takes, and what a task of it is made of."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from local.aws.iam import ecs_resources
from local.aws.strict.tagged_tasks import tagging_right
from local.config import ACCOUNT_ID, REGION
from local.fargate import standalone

NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}
CLUSTER: dict[str, Any] = {
    "clusterName": "c",
    "clusterArn": f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:cluster/c",
    "capacityProviders": ["FARGATE"],
}
DEFINITION: dict[str, Any] = {
    "family": "brokers",
    "taskDefinitionArn": f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:task-definition/brokers:3",
    "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
    "taskRoleArn": "arn:t",
    "containerDefinitions": [
        {
            "name": "main",
            "image": "camunda/camunda:8.9.16",
            "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "secrets": [{"name": "PASSWORD", "valueFrom": "arn:s"}],
        },
        {"name": "beside", "image": "camunda/camunda:8.9.16"},
    ],
}


def refused(cluster: dict[str, Any] = CLUSTER, **given: Any) -> tuple[str, str] | None:
    asked = {"launchType": "FARGATE", "networkConfiguration": NETWORK} | given
    asked = {name: value for name, value in asked.items() if value is not None}
    known: dict[str, Any] = {"subnets": {"subnet-1": {}}, "groups": {"sg-1": {}}}
    return standalone.refusal(asked, cluster, DEFINITION, **known)


def override(**given: Any) -> dict[str, Any]:
    return {"containerOverrides": [{"name": "main", **given}]}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"count": 10},
        {"startedBy": "restore-01J/x_1", "clientToken": "a:b"},
        {"launchType": None, "capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]},
        {"overrides": override(environment=[{"name": "ZEEBE_RESTORE", "value": "true"}])},
        {"overrides": {"taskRoleArn": "arn:other"}},
        {"tags": [{"key": "camunda:cluster", "value": "demo"}]},
        {"enableExecuteCommand": True},
    ],
)
def test_what_can_be_run(given: dict[str, Any]) -> None:
    assert refused(**given) is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"count": 0}, "count 0"),
        ({"count": 11}, "count 11"),
        ({"startedBy": "arn:aws:states"}, "startedBy"),
        ({"startedBy": "x" * 129}, "startedBy"),
        ({"clientToken": "x" * 65}, "clientToken"),
        ({"propagateTags": "SERVICE"}, "SERVICE"),
        ({"launchType": None}, "No Container Instances"),
        ({"launchType": "EC2"}, "No Container Instances"),
        ({"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}, "Specifying both"),
        (
            {"launchType": None, "capacityProviderStrategy": [{"capacityProvider": "OTHER"}]},
            "not associated",
        ),
        ({"networkConfiguration": None}, "Network Configuration must be provided"),
        ({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-9"]}}}, "subnet-9"),
        (
            {
                "networkConfiguration": {
                    "awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-9"]}
                }
            },
            "sg-9",
        ),
        ({"overrides": {"containerOverrides": [{"name": "x"}]}}, "container named x is not"),
        ({"overrides": {"containerOverrides": [{"command": ["x"]}]}}, "must specify the name"),
        ({"overrides": override(command=["x" * 8192])}, "at most 8192"),
        ({"overrides": override(memory=512)}, "memory .* no stand-in"),
        ({"overrides": {"cpu": "512"}}, "cpu .* no stand-in"),
        (
            {"overrides": override(environment=[{"name": "PASSWORD", "value": "x"}])},
            "such as 'PASSWORD'",
        ),
        ({"tags": [{"key": "aws:x", "value": "1"}]}, "reserved prefix"),
        ({"tags": [{"key": "x", "value": "1"}] * 2}, "Duplicate"),
        ({"tags": [{"key": str(one), "value": ""} for one in range(51)]}, "at most 50"),
        ({"placementStrategy": [{"type": "spread"}]}, "no stand-in"),
    ],
)
def test_what_is_rejected_as_a_whole(given: dict[str, Any], why: str) -> None:
    found = refused(**given)
    assert found is not None
    with pytest.raises(ValueError, match=why):
        raise ValueError(found[1])


def test_the_strategy_of_the_cluster_counts_where_none_is_given() -> None:
    default = {"defaultCapacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]}
    assert refused(CLUSTER | default, launchType=None) is None


def test_commands_without_a_role_cannot_be_executed_in_a_task() -> None:
    definition = {**DEFINITION, "taskRoleArn": ""}
    found = standalone.refusal(
        {
            "launchType": "FARGATE",
            "networkConfiguration": NETWORK,
            "enableExecuteCommand": True,
        },
        CLUSTER,
        definition,
        subnets={"subnet-1"},
        groups={"sg-1"},
    )
    assert found is not None
    assert "taskRoleArn" in found[1]


def test_overrides_change_one_container_of_one_task() -> None:
    before = copy.deepcopy(DEFINITION)
    changed = standalone.overridden(
        DEFINITION,
        {
            "taskRoleArn": "arn:other",
            **override(
                command=["x"],
                environment=[{"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
            ),
        },
    )
    main, beside = changed["containerDefinitions"]
    assert {one["name"]: one["value"] for one in main["environment"]} == {
        "A": "1",
        "B": "3",
        "C": "4",
    }
    assert main["command"] == ["x"]
    assert main["secrets"] == before["containerDefinitions"][0]["secrets"]
    assert beside == before["containerDefinitions"][1]
    assert changed["taskRoleArn"] == "arn:other"
    assert before == DEFINITION


def test_tags_are_the_given_ones_the_definitions_on_request_and_ecs_own() -> None:
    own = [{"key": "a", "value": "1"}]
    theirs = [{"key": "a", "value": "2"}, {"key": "b", "value": "2"}]
    assert standalone.tags({"tags": own}, CLUSTER, theirs) == own
    asked = {"tags": own, "propagateTags": "TASK_DEFINITION", "enableECSManagedTags": True}
    assert standalone.tags(asked, CLUSTER, theirs) == [
        *own,
        theirs[1],
        {"key": "aws:ecs:clusterName", "value": "c"},
    ]


def test_it_is_authorised_on_the_revision_and_its_tags_on_the_tasks_to_be() -> None:
    arn = DEFINITION["taskDefinitionArn"]
    assert ecs_resources("RunTask", {"cluster": "c", "taskDefinition": arn}) == [arn]
    assert ecs_resources("RunTask", {"taskDefinition": "brokers:3"}) == [arn]
    context = {"ecs:cluster": CLUSTER["clusterArn"]}
    assert tagging_right(context) is None
    tagged = context | {"aws:RequestTag/camunda:cluster": "demo"}
    assert tagging_right(tagged) == (
        "ecs:TagResource",
        f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:task/c/*",
        {**tagged, "ecs:CreateAction": "RunTask"},
    )
