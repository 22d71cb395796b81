"""Hardening of the control plane by parameter: flow log, Object Lock, addresses, signatures."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest

from tests.support.nested import flattened
from tests.support.sam import translated
from tests.unit.templates.resolver import resolve
from tools.generate_parameters import ROOT, load_template

SOURCE = load_template(ROOT / "template.yaml")


def default(name: str) -> Any:
    return SOURCE["Parameters"][name]["Default"]


# --- flow log ------------------------------------------------------------------------------------


def test_the_flow_log_is_delivered_to_its_own_group_by_a_role_of_its_own() -> None:
    network = resolve("network", FlowLogs="ALL", FlowLogGroup="group")
    log = network.properties("FlowLog")
    assert (log["ResourceId"], log["ResourceType"], log["TrafficType"]) == (
        "ref(Vpc)",
        "VPC",
        "ALL",
    )
    assert log["LogGroupName"] == "group"
    assert log["DeliverLogsPermissionArn"] == "att(FlowLogRole.Arn)"
    role = network.properties("FlowLogRole")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert set(trust["Condition"]) == {"StringEquals", "ArnLike"}, "the confused deputy"
    (policy,) = role["Policies"]
    written = [one for one in policy["PolicyDocument"]["Statement"] if one["Resource"] != "*"]
    assert [one["Resource"].rpartition(":log-group:")[2] for one in written] == ["group:*"]


def test_without_a_flow_log_there_is_neither_role_nor_log() -> None:
    assert not {"FlowLog", "FlowLogRole"} & set(resolve("network", FlowLogs="OFF").resources)


def test_the_flow_log_is_on_by_default_and_its_group_outlives_the_stack() -> None:
    assert default("VpcFlowLogs") == "REJECT"
    group = SOURCE["Resources"]["FlowLogGroup"]
    assert group["DeletionPolicy"] == "RetainExceptOnCreate"
    assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    given = SOURCE["Resources"]["Network"]["Properties"]["Parameters"]
    assert given["FlowLogs"] == {"Ref": "VpcFlowLogs"}
    assert given["FlowLogGroup"] == {"Fn::If": ["LogFlows", {"Ref": "FlowLogGroup"}, ""]}


# --- audit trail ---------------------------------------------------------------------------------


def test_objects_are_locked_by_parameter_only() -> None:
    bucket = SOURCE["Resources"]["ArtifactBucket"]["Properties"]
    nothing = {"Ref": "AWS::NoValue"}
    assert default("AuditLockDays") == 0
    assert bucket["ObjectLockEnabled"] == {"Fn::If": ["LockAudit", True, nothing]}
    condition, lock, otherwise = bucket["ObjectLockConfiguration"]["Fn::If"]
    assert (condition, otherwise) == ("LockAudit", nothing)
    assert lock == {
        "ObjectLockEnabled": "Enabled",
        "Rule": {
            "DefaultRetention": {"Mode": {"Ref": "AuditLockMode"}, "Days": {"Ref": "AuditLockDays"}}
        },
    }
    # Object Lock works on versions.
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


# --- addresses of callers ------------------------------------------------------------------------


def api_policy() -> dict[str, Any]:
    (api,) = [one for one in translated().values() if one["Type"] == "AWS::ApiGateway::RestApi"]
    policy: dict[str, Any] = api["Properties"]["Body"]["x-amazon-apigateway-policy"]
    return policy


def test_the_policy_of_the_api_only_denies() -> None:
    """With IAM as well, an Allow in it would be enough for any principal of the account.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
    """
    (statement,) = api_policy()["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == "execute-api:/*"
    assert statement["Condition"] == {
        "NotIpAddress": {"aws:SourceIp": {"Fn::Split": [",", default("ApiAllowedCidrs")]}}
    }


@pytest.mark.parametrize("address", ["203.0.113.7", "10.0.0.1", "2001:db8::1"])
def test_by_default_no_address_is_denied(address: str) -> None:
    ranges = [ipaddress.ip_network(one) for one in default("ApiAllowedCidrs").split(",")]
    caller = ipaddress.ip_address(address)
    assert any(caller in one for one in ranges if one.version == caller.version)


# --- signatures ----------------------------------------------------------------------------------


def test_every_function_checks_signatures_by_parameter() -> None:
    functions = [one for one in translated().values() if one["Type"] == "AWS::Lambda::Function"]
    assert functions
    given = [one["Properties"]["CodeSigningConfigArn"]["Fn::If"] for one in functions]
    ways = [{"Ref": "CodeSigningConfigArn"}, {"Ref": "AWS::NoValue"}]
    assert [one for one in given if one[1:] != ways] == []
    # The console's stack has a condition of its own.
    conditions = flattened()["Conditions"]
    assert {json.dumps(conditions[one[0]]) for one in given} == {
        json.dumps(conditions["CheckSignatures"])
    }
    assert default("CodeSigningConfigArn") == ""
