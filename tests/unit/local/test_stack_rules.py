"""Rules about stacks: what is still there, what goes, and what cannot be updated."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from local.aws.cloudformation import REPLACED_BY, keep_times
from local.aws.strict.namespace_in_use import listed
from local.aws.strict.namespace_in_use import refusal as service_refusal
from local.aws.strict.replacement_needs_rollback import refusal as update_refusal
from local.aws.strict.replacement_needs_rollback import (
    undone_from_nothing,
    was_stable,
)
from local.aws.strict.retained_names import NAMED
from local.aws.strict.retained_names import refusal as name_refusal
from local.aws.strict.rollback_complete import refusal as change_set_refusal
from local.aws.strict.task_roles import refusal as role_refusal
from local.aws.strict.task_secrets import refusal as secret_refusal
from local.aws.strict.unique_exports import refusal as export_refusal
from tests.support.sam import translated


@pytest.mark.parametrize(
    ("status", "on_failure", "disable", "refused"),
    [
        ("UPDATE_FAILED", "ROLLBACK", False, True),
        ("CREATE_FAILED", "", False, True),
        ("UPDATE_FAILED", "DO_NOTHING", False, False),
        ("CREATE_FAILED", "", True, False),
        ("UPDATE_COMPLETE", "ROLLBACK", False, False),
        ("", "ROLLBACK", False, False),
    ],
)
def test_a_stack_that_stopped_half_way_takes_no_update_that_may_roll_back(
    status: str, on_failure: str, disable: bool, refused: bool
) -> None:
    assert bool(update_refusal(status, on_failure, disable=disable)) == refused


def test_only_what_an_update_changed_has_the_update_s_time() -> None:
    def resources(at: str, image: str, task: str) -> dict[str, Any]:
        return {
            "Logs": {"PhysicalResourceId": "logs", "Properties": {}, "Timestamp": at},
            "Task": {
                "PhysicalResourceId": task,
                "Properties": {"Image": image},
                "Timestamp": at,
            },
        }

    for image, task in (("two", "task:1"), ("one", "task:2")):
        after = resources("later", image, task)
        keep_times(resources("before", "one", "task:1"), after)
        assert {key: one["Timestamp"] for key, one in after.items()} == {
            "Logs": "before",
            "Task": "later",
        }


def event(kind: str, status: str) -> dict[str, str]:
    return {"ResourceType": kind, "ResourceStatus": status}


def test_only_the_stack_s_own_completion_is_a_state_to_roll_back_to() -> None:
    failed = [
        event("AWS::SNS::Topic", "CREATE_COMPLETE"),
        event("AWS::CloudFormation::Stack", "CREATE_FAILED"),
        event("AWS::CloudFormation::Stack", "ROLLBACK_COMPLETE"),
    ]
    assert not was_stable(failed)
    assert was_stable([*failed, event("AWS::CloudFormation::Stack", "UPDATE_COMPLETE")])


def test_without_such_a_state_all_that_was_made_is_undone() -> None:
    operation = {"is_update": True, "previous_stack": {}, "created": ["B"], "template": {}}
    undone = undone_from_nothing(operation, {"A": {}, "B": {}})
    assert (undone["is_update"], undone["created"]) == (False, ["A", "B"])
    assert undone["previous_stack"] is None


def test_a_revision_of_a_task_definition_is_replaced_by_anything_but_tags() -> None:
    kind = "AWS::ECS::TaskDefinition"
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-central-1", kind).schema
    fixed = {path.removeprefix("/properties/") for path in schema["createOnlyProperties"]}
    assert set(REPLACED_BY[kind]) == fixed
    assert set(schema["properties"]) - fixed == {"Tags", "TaskDefinitionArn"}


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"])
def test_a_stack_that_was_rolled_back_takes_no_change_set(status: str) -> None:
    assert status in change_set_refusal({"StackId": "arn", "StackStatus": status})
    assert not change_set_refusal({"StackId": "arn", "StackStatus": "UPDATE_ROLLBACK_COMPLETE"})
    assert not change_set_refusal({})


def test_a_name_of_the_template_s_own_is_taken_while_something_has_it() -> None:
    kind = "AWS::Logs::LogGroup"
    assert "already exists" in name_refusal(kind, {"LogGroupName": "kept"}, {"kept": {}})
    assert not name_refusal(kind, {"LogGroupName": "new"}, {"kept": {}})
    assert not name_refusal(kind, {}, {"kept": {}})


def test_nothing_that_outlives_the_control_stack_stops_its_next_deployment() -> None:
    """Its second deployment under the same name, after it was deleted."""
    kept = {
        (resource["Type"], json.dumps(resource["Properties"].get(NAMED[resource["Type"]][0], "")))
        for resource in translated().values()
        if resource["Type"] in NAMED and resource.get("DeletionPolicy", "Delete") != "Delete"
    }
    assert kept
    # A stack made anew has another id, and everything else as it was.
    assert [kind for kind, name in kept if name != '""' and "AWS::StackId" not in name] == []


@pytest.mark.parametrize(
    ("definition", "refused"),
    [
        ({"taskRoleArn": "arn:aws:iam::1:role/camunda/kept"}, False),
        ({"taskRoleArn": "arn:aws:iam::1:role/camunda/gone"}, True),
        ({"executionRoleArn": "arn:aws:iam::1:role/gone"}, True),
        ({}, False),
    ],
)
def test_a_task_whose_role_is_gone_does_not_start(
    definition: dict[str, Any], refused: bool
) -> None:
    assert bool(role_refusal(definition, {"kept"})) == refused


def test_services_are_listed_by_namespace_with_their_instances_counted() -> None:
    services = [{"Id": "srv-1", "NamespaceId": "ns-1"}, {"Id": "srv-2", "NamespaceId": "ns-2"}]
    instances: dict[str, dict[str, Any]] = {"srv-1": {"task": {}}}
    wanted = [{"Name": "NAMESPACE_ID", "Values": ["ns-1"], "Condition": "EQ"}]
    assert listed(services, instances, wanted) == [{**services[0], "InstanceCount": 1}]
    assert [one["InstanceCount"] for one in listed(services, instances, [])] == [1, 0]


def test_a_cloud_map_service_stays_while_instances_are_in_it() -> None:
    assert "registered instances" in service_refusal({"task": {}})
    assert not service_refusal({})


def test_a_name_that_another_stack_exports_cannot_be_exported() -> None:
    first, second = (
        {"a": {"StackId": f"arn:aws:cloudformation:r:1:stack/{name}/id", "Name": "a"}}
        for name in ("first", "second")
    )
    assert "already exported by stack first" in export_refusal(second, first)
    assert not export_refusal(first, first)
    assert not export_refusal(second, {})


def test_a_task_whose_role_may_not_read_a_secret_does_not_start() -> None:
    secret = "arn:aws:secretsmanager:r:1:secret:mail-a1b2c3"
    definition = {
        "executionRoleArn": "role",
        "containerDefinitions": [
            {
                "secrets": [{"name": "A", "valueFrom": f"{secret}:password::"}],
                "repositoryCredentials": {"credentialsParameter": f"{secret}-registry"},
            }
        ],
    }
    asked = []

    def allows(*request: str) -> bool:
        asked.append(request)
        return not request[2].endswith("registry")

    refused = secret_refusal(definition, allows)
    assert "ResourceInitializationError" in refused
    assert asked == [
        ("role", "secretsmanager:GetSecretValue", secret),
        ("role", "secretsmanager:GetSecretValue", f"{secret}-registry"),
    ]
    assert not secret_refusal(definition, lambda *_: True)
    assert not secret_refusal({}, lambda *_: False)
