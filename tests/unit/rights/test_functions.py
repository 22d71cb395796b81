"""Each function may do what its handler can reach, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from local.aws.strict.quota_values import ASKED_WITH
from tests.support.nested import CONTROL
from tests.support.nested import templates as nested_templates
from tests.support.sam import translated
from tests.unit.rights.actions import exists, needed_for, resource_types, standing_for
from tests.unit.rights.calls import operations_of, written_operations
from tests.unit.rights.schemas import resources
from tests.unit.rights.statements import content, is_open, of
from tools.generate_parameters import ROOT

# Rights that no call in the source shows, with the reason.
UNSEEN = {
    ("PreflightCluster", "elasticloadbalancing:DescribeAccountLimits"): "Service Quotas asks it",
    ("PreflightCluster", "rds:DescribeAccountAttributes"): "Service Quotas asks it",
    ("PlanStack", "s3:ListBucket"): "without it S3 answers for a missing object: forbidden",
    ("PlanTeardown", "kms:Decrypt"): "manifests are encrypted with the cluster's key",
    ("ServeApi", "kms:Decrypt"): "manifests are encrypted with the cluster's key",
    ("ProbeHealth", "s3:ListBucket"): "without it S3 answers for a missing object: forbidden",
    ("FollowStart", "iam:PassRole"): "CreateService with a task definition passes its roles",
    ("RollServices", "iam:PassRole"): "UpdateService with a task definition passes its roles",
    ("StartServices", "iam:PassRole"): "UpdateService with a task definition passes its roles",
    ("StartServices", "kms:Decrypt"): "S3 decrypts what is restored",
    ("ValidateRestore", "kms:Decrypt"): "S3 decrypts the manifests",
    ("RestoreBrokers", "kms:Decrypt"): "S3 decrypts what is restored",
}
# Actions on `*` although IAM knows resources for them, with the reason.
ON_EVERYTHING = {
    "cloudformation:DescribeStacks": "to list stacks is to name none",
    "ec2:DescribeVpcAttribute": "of whichever VPC the control plane was given",
    "rds:DescribeDBClusters": "counted against the account's quota",
    "rds:DescribeDBInstances": "counted against the account's quota",
    "servicequotas:GetServiceQuota": "quotas of several services, by codes that are AWS's own",
    "ecs:ListTasks": "its resource is a container instance; the condition names the cluster",
}


def _functions() -> dict[str, Any]:
    return {
        name: resource["Properties"]
        for name, resource in content()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def _folder(properties: Any) -> str:
    return str(properties["CodeUri"]).removeprefix("../").removeprefix("functions/")


def _granted(function: str) -> set[str]:
    return {action for one in of(function) if one.allows for action in one.actions}


def test_every_folder_is_one_function() -> None:
    folders = [_folder(properties) for properties in _functions().values()]
    made = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}
    assert sorted(folders) == sorted(made)


@pytest.mark.parametrize("function", sorted(_functions()))
def test_a_function_has_the_rights_it_uses(function: str) -> None:
    used = operations_of(_folder(_functions()[function]))
    needed = {action for operation in used for action in needed_for(operation)}
    granted = {action for action in _granted(function) if (function, action) not in UNSEEN}
    assert sorted(needed - granted) == [], "missing"
    assert sorted(granted - needed) == [], "surplus: no call in the source needs it"


@pytest.mark.parametrize("function", sorted(_functions()))
def test_who_reads_a_quota_may_ask_the_service_itself(function: str) -> None:
    """Otherwise Service Quotas answers without a value."""
    codes = {
        code
        for statement in of(function)
        if "servicequotas:GetServiceQuota" in statement.actions
        for resource in statement.resources
        for code in re.findall(r":([a-z]+)/\*", str(resource))
    }
    assert bool(codes) == ("servicequotas:GetServiceQuota" in _granted(function))
    asked = {ASKED_WITH[code] for code in codes if code in ASKED_WITH}
    assert sorted(asked - _granted(function)) == []


def _within_the_boundary() -> set[str]:
    return {
        action
        for statement in of("FunctionBoundary")
        if statement.allows
        for written in statement.actions
        for action in standing_for(written)
    }


@pytest.mark.parametrize("function", sorted(_functions()))
def test_a_function_keeps_its_rights_within_the_boundary(function: str) -> None:
    granted = {action.lower() for action in _granted(function)}
    assert sorted(granted - _within_the_boundary()) == [], "add the service to FunctionBoundary"


def test_a_function_keeps_the_rights_that_sam_adds_within_the_boundary() -> None:
    """Such as that of its dead-letter queue, which no statement of the templates names."""
    added = {
        action.lower()
        for resource in translated().values()
        if resource["Type"] == "AWS::IAM::Role"
        and "lambda.amazonaws.com" in str(resource["Properties"]["AssumeRolePolicyDocument"])
        for policy in resource["Properties"].get("Policies", ())
        for statement in policy["PolicyDocument"]["Statement"]
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
    }
    assert "sqs:sendmessage" in added
    assert sorted(added - _within_the_boundary()) == [], "add the service to FunctionBoundary"


def test_nested_stacks_of_the_control_plane_are_read_only_to_functions() -> None:
    """The pattern of the clusters' stacks matches them, too."""
    (denied,) = [
        one for one in of("FunctionBoundary") if one.content["Sid"] == "NestedStacksAreReadOnly"
    ]
    for name in (*nested_templates(), "Network"):
        assert any(f"-{name}-*/*" in str(one) for one in denied.resources), name
    of_stacks = {
        action for action in standing_for("cloudformation:*") if "stack" in resource_types(action)
    }
    assert "cloudformation:deletestack" in of_stacks
    refused = {action for one in denied.actions for action in standing_for(one)}
    reading = ("get", "list", "describe", "detect")
    left = {one for one in of_stacks - refused if not one.split(":")[1].startswith(reading)}
    assert left == set(), left


def test_no_function_can_change_who_may_what_or_write_other_logs() -> None:
    allowed = _within_the_boundary()
    reading_roles = {"iam:getrole", "iam:simulateprincipalpolicy"}
    assert {action for action in allowed if action.startswith(("iam:", "sts:"))} == {
        "iam:passrole",
        *reading_roles,
    }
    for one in of("FunctionBoundary"):
        if reading_roles & {action.lower() for action in one.actions}:
            assert not any("*" in str(resource) for resource in one.resources)
    written = {"logs:createlogstream", "logs:putlogevents"}
    reading = ("logs:describe", "logs:get")
    logs = {action for action in allowed if action.startswith("logs:")}
    assert {action for action in logs if not action.startswith(reading)} == written
    (statement,) = [one for one in of("FunctionBoundary") if "logs:PutLogEvents" in one.actions]
    assert statement.resources == [{"Fn::GetAtt": ["FunctionLogs", "Arn"]}]


def test_every_function_has_the_boundary() -> None:
    boundary = {"Ref": "FunctionBoundary"}
    assert content()["Globals"]["Function"]["PermissionsBoundary"] == boundary
    roles = [
        resource["Properties"].get("PermissionsBoundary")
        for resource in resources(CONTROL).values()
        if resource["Type"] == "AWS::IAM::Role"
        and "lambda.amazonaws.com" in str(resource["Properties"]["AssumeRolePolicyDocument"])
    ]
    assert roles == [boundary] * len(_functions())


def test_what_is_written_in_adapters_is_reached_by_a_function() -> None:
    reached = {
        operation for one in _functions().values() for operation in operations_of(_folder(one))
    }
    free = {operation for operation in written_operations() if not needed_for(operation)}
    assert sorted(written_operations() - reached - free) == [], (
        "either nothing uses it, or the walk cannot follow the code that does"
    )


def test_clients_are_made_in_one_place() -> None:
    made = [
        str(path.relative_to(ROOT))
        for folder in ("functions", "layers/lifecycle/lifecycle")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^\s*(import|from) boto3\b", path.read_text(), re.MULTILINE)
    ]
    assert made == ["layers/lifecycle/lifecycle/adapters/aws/session.py"]


@pytest.mark.parametrize("function", sorted(_functions()))
def test_a_right_on_everything_has_no_resource_to_name(function: str) -> None:
    for statement in of(function):
        if statement.resources == ["*"]:
            scopable = {action for action in statement.actions if resource_types(action)}
            assert sorted(scopable - set(ON_EVERYTHING)) == [], str(statement)


@pytest.mark.parametrize("function", sorted(_functions()))
def test_actions_are_written_out_and_known(function: str) -> None:
    for statement in of(function):
        for action in statement.actions:
            assert "*" not in action, str(statement)
            assert exists(action), f"{statement}: IAM knows no {action}"


@pytest.mark.parametrize("function", sorted(_functions()))
def test_secrets_and_keys_are_open_only_under_a_condition(function: str) -> None:
    for statement in of(function):
        if any(is_open(one) for one in statement.resources):
            services = {action.split(":")[0] for action in statement.actions}
            # A random password is no secret before it is one's, and a list has no values.
            harmless = {"secretsmanager:GetRandomPassword", "secretsmanager:ListSecrets"}
            guarded = services & {"secretsmanager", "kms", "iam"}
            if guarded and not set(statement.actions) <= harmless:
                assert statement.content["Condition"], str(statement)


def test_roles_are_passed_to_one_service_only() -> None:
    passed = [one for name in _functions() for one in of(name) if "iam:PassRole" in one.actions]
    for statement in passed:
        assert "iam:PassedToService" in str(statement.content["Condition"]), str(statement)
        assert not any(is_open(one) for one in statement.resources), str(statement)


def test_who_reads_a_plan_that_may_be_missing_may_list_its_bucket() -> None:
    """S3 answers otherwise as for an object that is forbidden, not `NoSuchKey`."""
    readers = {
        name
        for name, function in _functions().items()
        if "/plans/*" in str(function["Policies"])
        and "s3:GetObjectVersion" in str(function["Policies"])
    }
    assert readers == {"PlanStack", "ServeApi"}
    assert all("s3:ListBucket" in str(_functions()[name]["Policies"]) for name in readers)


def test_nobody_but_the_functions_that_may_write_artifacts_can() -> None:
    """What another principal of the account puts there would be applied, or read as a report."""
    policy = resources(CONTROL)["ArtifactBucketPolicy"]["Properties"]["PolicyDocument"]
    denials = {one["Sid"]: one for one in policy["Statement"]}
    spared = denials["OnlyFunctionsWrite"]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    writers = {
        name
        for name in _functions()
        if any(
            "s3:PutObject" in one.actions and "ArtifactBucket" in str(one.resources)
            for one in of(name)
        )
    }
    assert {role["Fn::GetAtt"][0] for role in spared} == {f"{name}Role" for name in writers}
    assert set(denials["NobodyDeletesOrReplicates"]["Action"]) == {
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:ReplicateDelete",
        "s3:ReplicateObject",
    }
    assert all(one["Effect"] == "Deny" and one["Principal"] == "*" for one in policy["Statement"])
