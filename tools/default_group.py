"""Close the default security group of the VPC that a control stack created.

``make close-group STACK=camunda-lifecycle``, once after the first deployment. EC2 makes the
group with the VPC, and CloudFormation does not own it, so that no template can remove its rules.
Nothing of the control plane or of its clusters uses it; a group that something uses is left alone.
https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html#ec2-2
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class CannotCloseError(Exception):
    """Nothing was changed; the message names what was found, what is needed and the next step."""


def created_vpc(stack: dict[str, Any]) -> str:
    """Return the VPC that the control stack created, from DescribeStacks.

    Raises CannotCloseError for a VPC that it was given, and for a stack without one.
    """
    name = stack["StackName"]
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", ())}
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}
    given = parameters.get("VpcId")
    if given:
        raise CannotCloseError(
            f"VPC {given} was given to stack {name} (VpcId), not created by it; other resources may"
            " rely on its default security group. Nothing was changed."
        )
    if given is None or "Vpc" not in outputs:
        raise CannotCloseError(
            f"Stack {name} has no parameter VpcId and output Vpc: it is no control stack, or its"
            " deployment did not finish. Nothing was changed."
        )
    return str(outputs["Vpc"])


def close(ec2: Any, vpc: str) -> list[str]:
    """Remove every rule of the VPC's default group; returns the ids of the rules removed.

    Raises CannotCloseError if a network interface uses the group.
    """
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    (group,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    used = ec2.describe_network_interfaces(
        Filters=[{"Name": "group-id", "Values": [group["GroupId"]]}]
    )["NetworkInterfaces"]
    if used:
        interfaces = ", ".join(one["NetworkInterfaceId"] for one in used)
        raise CannotCloseError(
            f"The default security group {group['GroupId']} of {vpc} is used by {interfaces}."
            " Nothing was changed. Give what they belong to a group of its own first."
        )
    rules = [
        rule
        for page in ec2.get_paginator("describe_security_group_rules").paginate(
            Filters=[{"Name": "group-id", "Values": [group["GroupId"]]}]
        )
        for rule in page["SecurityGroupRules"]
    ]
    closed: list[str] = []
    for outward, revoke in (
        (False, ec2.revoke_security_group_ingress),
        (True, ec2.revoke_security_group_egress),
    ):
        ids = [one["SecurityGroupRuleId"] for one in rules if one["IsEgress"] is outward]
        if ids:
            revoke(GroupId=group["GroupId"], SecurityGroupRuleIds=ids)
            closed += ids
    return closed


def main(arguments: Sequence[str], client: Callable[[str], Any] | None = None) -> int:
    """Close it and print what was done; 1 with the reason if nothing was."""
    parser = argparse.ArgumentParser(prog="python -m tools.default_group")
    parser.add_argument("--stack", required=True)
    name = parser.parse_args(arguments).stack
    make: Callable[[str], Any] = client or boto3.client  # type: ignore[assignment]
    try:
        (stack,) = make("cloudformation").describe_stacks(StackName=name)["Stacks"]
        vpc = created_vpc(stack)
        closed = close(make("ec2"), vpc)
    except (CannotCloseError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{vpc}: {len(closed)} rules of the default security group removed."
        if closed
        else f"{vpc}: the default security group has no rules already."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
