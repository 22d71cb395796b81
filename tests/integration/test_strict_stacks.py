"""Rules of the strict AWS about names and exports of stacks, seen through its API."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local import instance
from local.component import Instance
from local.config import LocalConfig
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    found = Instance.of(LocalConfig(tmp_path_factory.mktemp("instance"), block("stacks")))
    host = instance.start(found, components=[])
    try:
        yield found
    finally:
        host.stop(grace=30)
        assert found.processes.survivors() == []


def settled(here: Instance, name: str) -> dict[str, Any]:
    """A stack after its operation, or nothing if it is gone."""
    api = here.client("cloudformation")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            (found,) = api.describe_stacks(StackName=name)["Stacks"]
        except ClientError:
            return {}
        if not found["StackStatus"].endswith("_IN_PROGRESS"):
            return dict(found)
        time.sleep(0.05)
    raise AssertionError(f"{name} did not settle")


def deploy(here: Instance, action: str, name: str, template: dict[str, Any]) -> dict[str, Any]:
    api = here.client("cloudformation")
    getattr(api, f"{action}_stack")(StackName=name, TemplateBody=json.dumps(template))
    return settled(here, name)


def delete(here: Instance, name: str) -> dict[str, Any]:
    here.client("cloudformation").delete_stack(StackName=name)
    return settled(here, name)


def physical_id(here: Instance, stack: str, logical_id: str) -> str:
    found = here.client("cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId=logical_id
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


# --- names ------------------------------------------------------------------------------------


def logs(**properties: Any) -> dict[str, Any]:
    group = {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "Retain", "Properties": properties}
    return {"Resources": {"Logs": group}}


def test_a_log_group_is_named_after_its_stack_and_keeps_its_name(here: Instance) -> None:
    assert deploy(here, "create", "groups", logs())["StackStatus"] == "CREATE_COMPLETE"
    name = physical_id(here, "groups", "Logs")
    assert re.fullmatch(r"groups-Logs-[A-Za-z0-9]{12}", name)

    deploy(here, "update", "groups", logs(RetentionInDays=7))
    assert physical_id(here, "groups", "Logs") == name
    api = here.client("logs")
    (group,) = api.describe_log_groups(logGroupNamePrefix="groups-Logs-")["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == (name, 7)

    # Retained, it does not come back with a stack of the same name.
    assert delete(here, "groups") == {}
    deploy(here, "create", "groups", logs())
    assert physical_id(here, "groups", "Logs") != name
    assert len(api.describe_log_groups(logGroupNamePrefix="groups-Logs-")["logGroups"]) == 2


def test_a_secret_that_was_retained_keeps_its_value(here: Instance) -> None:
    def keeping(text: str) -> dict[str, Any]:
        properties = {"SecretString": text}
        kept = {"Type": "AWS::SecretsManager::Secret", "DeletionPolicy": "Retain"}
        return {"Resources": {"Secret": {**kept, "Properties": properties}}}

    api = here.client("secretsmanager")
    deploy(here, "create", "keeping", keeping("first"))
    kept = physical_id(here, "keeping", "Secret")
    assert re.fullmatch(r"Secret-[A-Za-z0-9]{12}", kept)
    deploy(here, "update", "keeping", keeping("second"))
    assert physical_id(here, "keeping", "Secret") == kept
    assert delete(here, "keeping") == {}
    deploy(here, "create", "keeping", keeping("other"))
    assert physical_id(here, "keeping", "Secret") != kept
    assert api.get_secret_value(SecretId=kept)["SecretString"] == "second"


def test_a_log_group_that_gives_up_its_own_name_is_replaced(here: Instance) -> None:
    deploy(here, "create", "named", logs(LogGroupName="own"))
    assert physical_id(here, "named", "Logs") == "own"
    assert deploy(here, "update", "named", logs())["StackStatus"] == "UPDATE_COMPLETE"
    assert physical_id(here, "named", "Logs").startswith("named-Logs-")


# --- exports ----------------------------------------------------------------------------------


def exporting(**values: str) -> dict[str, Any]:
    """Outputs by name; each is exported under its name."""
    return {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {
            name: {"Value": value, "Export": {"Name": f"exported-{name}"}}
            for name, value in values.items()
        },
    }


IMPORTING = {
    "Parameters": {"Prefix": {"Type": "String", "Default": "exported"}},
    "Resources": {
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"DisplayName": {"Fn::ImportValue": {"Fn::Sub": "${Prefix}-Used"}}},
        }
    },
}


def exports(here: Instance) -> dict[str, str]:
    found = here.client("cloudformation").list_exports()["Exports"]
    return {one["Name"].removeprefix("exported-"): one["Value"] for one in found}


def reasons(here: Instance, stack: str) -> str:
    events = here.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return "\n".join(one.get("ResourceStatusReason", "") for one in events)


def test_what_is_imported_neither_changes_nor_goes(here: Instance) -> None:
    deploy(here, "create", "exporter", exporting(Used="a", Free="b", Old="c"))
    deploy(here, "create", "importer", IMPORTING)

    changed = deploy(here, "update", "exporter", exporting(Used="other", Free="b", Old="c"))
    assert changed["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    refused = "Export exported-Used cannot be updated as it is in use by importer"
    assert refused in reasons(here, "exporter")
    assert exports(here) == {"Used": "a", "Free": "b", "Old": "c"}

    removed = deploy(here, "update", "exporter", exporting(Free="b", Old="c"))
    assert removed["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    refused = "Export exported-Used cannot be deleted as it is in use by importer"
    assert refused in reasons(here, "exporter")
    assert exports(here)["Used"] == "a"

    # An export without an importer does both.
    done = deploy(here, "update", "exporter", exporting(Used="a", Free="other"))
    assert done["StackStatus"] == "UPDATE_COMPLETE"
    assert exports(here) == {"Used": "a", "Free": "other"}

    with pytest.raises(ClientError, match=refused):
        delete(here, "exporter")
    assert settled(here, "exporter")["StackStatus"] == "UPDATE_COMPLETE"
    assert delete(here, "importer") == {}
    assert delete(here, "exporter") == {}
    assert exports(here) == {}


# --- the role of a stack ------------------------------------------------------------------------


def deployer(here: Instance, *statements: dict[str, Any]) -> str:
    """A new role for CloudFormation with these statements; gives its ARN."""
    trust = {"Service": "cloudformation.amazonaws.com"}
    document = {"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}
    api, name = here.client("iam"), f"deployer-{uuid.uuid4().hex}"
    role = api.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": document}),
    )
    allowed = [{"Effect": "Allow", **one} for one in statements]
    policy = {"Version": "2012-10-17", "Statement": allowed}
    api.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    return str(role["Role"]["Arn"])


OURS = {"StringEquals": {"aws:ResourceTag/owner": "us"}}
MAKES_OURS = {
    "Action": ["secretsmanager:CreateSecret", "secretsmanager:TagResource"],
    "Resource": "*",
    "Condition": {"StringEquals": {"aws:RequestTag/owner": "us"}},
}


@pytest.mark.parametrize(
    ("owner", "condition", "made", "gone"),
    [
        ("us", OURS, "CREATE_COMPLETE", True),
        ("us", None, "CREATE_COMPLETE", False),
        ("them", OURS, "ROLLBACK_COMPLETE", True),
    ],
)
@pytest.mark.parametrize("reviewed", [False, True])
def test_a_stack_makes_and_deletes_only_what_its_role_may(
    here: Instance, owner: str, condition: Any, made: str, gone: bool, *, reviewed: bool
) -> None:
    deletes = {"Action": "secretsmanager:DeleteSecret", "Resource": "*", "Condition": condition}
    role = deployer(here, MAKES_OURS, *([deletes] if condition else []))
    secret = {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "text"}}
    api, name = here.client("cloudformation"), f"stack-{uuid.uuid4().hex}"
    request = {
        "StackName": name,
        "TemplateBody": json.dumps({"Resources": {"Secret": secret}}),
        "Tags": [{"Key": "owner", "Value": owner}],
        "RoleARN": role,
    }
    if reviewed:
        arn = api.create_change_set(**request, ChangeSetName="made", ChangeSetType="CREATE")["Id"]
        api.get_waiter("change_set_create_complete").wait(
            ChangeSetName=arn, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )
        api.execute_change_set(ChangeSetName=arn)
    else:
        api.create_stack(**request)
    assert settled(here, name)["StackStatus"] == made
    if made == "ROLLBACK_COMPLETE":
        assert "perform: secretsmanager:CreateSecret" in reasons(here, name)
    left = delete(here, name)
    assert (left == {}) == gone
    if not gone:
        assert left["StackStatus"] == "DELETE_FAILED"
        assert "perform: secretsmanager:DeleteSecret" in reasons(here, name)


# --- users of a pool ----------------------------------------------------------------------------


def pool_of(username: str) -> dict[str, Any]:
    user = {
        "UserPoolId": {"Ref": "Pool"},
        "Username": username,
        "UserAttributes": [{"Name": "email", "Value": "alice@example.com"}],
    }
    pool = {"UserPoolName": "users", "AliasAttributes": ["email"]}
    return {
        "Resources": {
            "Pool": {"Type": "AWS::Cognito::UserPool", "Properties": pool},
            "User": {"Type": "AWS::Cognito::UserPoolUser", "Properties": user},
        }
    }


def test_a_pool_with_addresses_as_aliases_takes_no_address_as_a_name(here: Instance) -> None:
    failed = deploy(here, "create", "refused", pool_of("alice@example.com"))
    assert failed["StackStatus"] == "ROLLBACK_COMPLETE"
    events = here.client("cloudformation").describe_stack_events(StackName="refused")
    reasons = [one.get("ResourceStatusReason", "") for one in events["StackEvents"]]
    assert any("Username cannot be of email format" in one for one in reasons)

    assert deploy(here, "create", "users", pool_of("alice"))["StackStatus"] == "CREATE_COMPLETE"
    api, pool = here.client("cognito-idp"), physical_id(here, "users", "Pool")
    with pytest.raises(ClientError, match="email format"):
        api.admin_create_user(UserPoolId=pool, Username="bob@example.com")
    assert deploy(here, "update", "users", pool_of("bob"))["StackStatus"] == "UPDATE_COMPLETE"
    assert [one["Username"] for one in api.list_users(UserPoolId=pool)["Users"]] == ["bob"]
    assert delete(here, "users") == {}
