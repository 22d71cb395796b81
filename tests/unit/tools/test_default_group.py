"""The default security group of the created VPC is closed, and of no other."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from moto import mock_aws

from tools.default_group import CannotCloseError, close, created_vpc, main

REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")


def stack(given: str | None = "", outputs: dict[str, str] | None = None) -> dict[str, Any]:
    found = {"Vpc": "vpc-1"} if outputs is None else outputs
    parameters = [] if given is None else [{"ParameterKey": "VpcId", "ParameterValue": given}]
    return {
        "StackName": "control",
        "Parameters": parameters,
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in found.items()],
    }


def rules(ec2: Any, vpc: str) -> list[Any]:
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    (group,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return [*group["IpPermissions"], *group["IpPermissionsEgress"]]


def test_the_created_vpc_is_read_from_the_stack() -> None:
    assert created_vpc(stack()) == "vpc-1"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (stack("vpc-2"), "vpc-2 was given"),
        (stack(None), "no control stack"),
        (stack(outputs={}), "no control stack"),
    ],
)
def test_another_vpc_is_left_alone(found: dict[str, Any], told: str) -> None:
    with pytest.raises(CannotCloseError, match=f"{told}.*Nothing was changed"):
        created_vpc(found)


@mock_aws
def test_every_rule_goes_and_a_second_time_changes_nothing() -> None:
    ec2 = boto3.client("ec2", region_name=REGION)
    vpc, other = (ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] for _ in range(2))
    assert rules(ec2, vpc)
    assert close(ec2, vpc)
    assert rules(ec2, vpc) == []
    assert close(ec2, vpc) == []
    assert rules(ec2, other)


@mock_aws
def test_a_group_in_use_is_left_alone() -> None:
    ec2 = boto3.client("ec2", region_name=REGION)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    group = ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"]
    used = ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]
    with pytest.raises(CannotCloseError, match=used["NetworkInterfaceId"]):
        close(ec2, vpc)
    assert rules(ec2, vpc)


@mock_aws
def test_the_command_prints_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    ec2 = boto3.client("ec2", region_name=REGION)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    found = stack(outputs={"Vpc": vpc})

    class Stacks:
        @staticmethod
        def describe_stacks(StackName: str) -> dict[str, Any]:  # noqa: N803
            assert StackName == "control"
            return {"Stacks": [found]}

    def client(service: str) -> Any:
        return Stacks() if service == "cloudformation" else ec2

    assert main(["--stack", "control"], client) == 0
    assert "rules of the default security group removed" in capsys.readouterr().out
    assert main(["--stack", "control"], client) == 0
    assert "no rules already" in capsys.readouterr().out
    found["Parameters"][0]["ParameterValue"] = "vpc-2"
    assert main(["--stack", "control"], client) == 1
    assert "vpc-2 was given" in capsys.readouterr().err
