"""Check what `sam deploy` needs, before it creates anything. Changes nothing.

make preflight                       # with the credentials and region of your shell
make preflight NAT_GATEWAYS=1 STACK=camunda-lifecycle-dev
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lifecycle.core.names import CONTROL_STACK_RULE, control_stack_problem

POLICY = Path(__file__).parents[1] / "docs" / "deployer-policy.json"
# Service Quotas codes: https://docs.aws.amazon.com/general/latest/gr/vpc-service.html
QUOTAS = {
    "Elastic IP addresses": ("ec2", "L-0263D0A3"),
    "VPCs": ("vpc", "L-F678F1CE"),
}


class Result(StrEnum):
    """Result of one check."""

    PASS = "PASS"  # noqa: S105 - a result, not a password
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    result: Result
    seen: str
    remedy: str = ""


def check_zones(zones: Sequence[str]) -> Check:
    """Three availability zones, one for each broker and copy."""
    seen = f"{len(zones)} available: {', '.join(sorted(zones))}"
    if len(zones) >= 3:
        return Check("availability zones", Result.PASS, seen)
    return Check("availability zones", Result.FAIL, seen, "Choose a region with three zones.")


def check_quota(name: str, *, used: int, quota: float | None, needed: int, remedy: str) -> Check:
    """Room for what will be created; ``quota`` is None where it could not be read."""
    if quota is None:
        return Check(
            name,
            Result.WARN,
            f"{used} used, {needed} needed; the quota could not be read",
            "Allow servicequotas:GetServiceQuota, or compare in the console of Service Quotas.",
        )
    seen = f"{used} of {quota:.0f} used, {needed} needed"
    if used + needed <= quota:
        return Check(name, Result.PASS, seen)
    return Check(name, Result.FAIL, seen, remedy)


def read_quota(api: Any, service: str, code: str) -> float | None:
    """Value of a quota; None where it cannot be read.

    Service Quotas asks the service itself with the caller's rights; if that fails, its answer is
    a success without a value.
    https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ErrorReason.html
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = api.get_service_quota(ServiceCode=service, QuotaCode=code)
    except (BotoCoreError, ClientError):
        return None
    value = answer["Quota"].get("Value")
    return None if value is None else float(value)


def check_stack_name(name: str) -> Check:
    """A name that the policies match; CloudFormation's own Rules know no lengths or patterns."""
    problem = control_stack_problem(name)
    if not problem:
        return Check("stack name", Result.PASS, name)
    return Check("stack name", Result.FAIL, f"{name}: {problem}", f"Choose {CONTROL_STACK_RULE}.")


def check_stack(name: str, status: str | None) -> Check:
    """A stack that can be created or updated."""
    if status is None:
        return Check("control stack", Result.PASS, f"{name} does not exist yet")
    if status.endswith("_IN_PROGRESS"):
        return Check(
            "control stack", Result.FAIL, f"{name} is in {status}", "Wait until that ends."
        )
    if status in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}:
        return Check(
            "control stack", Result.FAIL, f"{name} is in {status}", "Delete the stack first."
        )
    if status == "UPDATE_ROLLBACK_FAILED":
        return Check(
            "control stack",
            Result.FAIL,
            f"{name} is in {status}",
            "Continue the rollback in CloudFormation first.",
        )
    return Check("control stack", Result.PASS, f"{name} is in {status}; it will be updated")


def check_permissions(denied: Sequence[str]) -> Check:
    """Every action of docs/deployer-policy.json."""
    if not denied:
        return Check("permissions", Result.PASS, "every action of docs/deployer-policy.json")
    shown = ", ".join(sorted(denied)[:8])
    more = f" and {len(denied) - 8} more" if len(denied) > 8 else ""
    return Check(
        "permissions",
        Result.FAIL,
        f"not allowed: {shown}{more}",
        "Attach docs/deployer-policy.json to the deploying identity.",
    )


def needed_actions(policy: dict[str, Any]) -> list[str]:
    """Actions of the policy without wildcards: the simulator takes only whole names."""
    actions: set[str] = set()
    for statement in policy["Statement"]:
        given = statement["Action"]
        actions |= {given} if isinstance(given, str) else set(given)
    return sorted(action for action in actions if not action.endswith("*"))


def overall(checks: Iterable[Check]) -> Result:
    """Give the worst result."""
    results = {check.result for check in checks}
    return next((r for r in (Result.FAIL, Result.WARN) if r in results), Result.PASS)


def _attempt(name: str, check: Callable[[], Check], remedy: str) -> Check:
    """Turn what an identity may not read, or cannot reach, into a warning, not into an end."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return check()
    except (BotoCoreError, ClientError) as error:
        return Check(name, Result.WARN, f"could not be read: {error}", remedy)


def collect(stack: str, nat_gateways: int) -> list[Check]:
    """Run every check with the credentials and region of the environment."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    # boto3 itself reads AWS_DEFAULT_REGION and profiles, the CLI and SAM also AWS_REGION.
    session = boto3.session.Session(region_name=os.environ.get("AWS_REGION") or None)
    make: Any = session.client
    if not session.region_name:
        return [Check("region", Result.FAIL, "none set", "Set AWS_REGION, e.g. eu-central-1.")]
    try:
        caller = make("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        return [Check("identity", Result.FAIL, str(error), "Log in: aws sso login, or set keys.")]
    arn: str = caller["Arn"]
    checks = [
        Check("identity", Result.PASS, f"{arn} in {session.region_name}"),
        _check_tool("python3.13", "Install Python 3.13; sam build needs it on PATH."),
    ]
    ec2 = make("ec2")

    def zones() -> Check:
        found = ec2.describe_availability_zones(
            Filters=[
                {"Name": "zone-type", "Values": ["availability-zone"]},
                {"Name": "state", "Values": ["available"]},
            ]
        )
        return check_zones([zone["ZoneName"] for zone in found["AvailabilityZones"]])

    def quota(name: str) -> float | None:
        return read_quota(make("service-quotas"), *QUOTAS[name])

    def state() -> str | None:
        try:
            found = make("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return str(found[0]["StackStatus"])

    def addresses() -> Check:
        return check_quota(
            "Elastic IP addresses",
            used=len(ec2.describe_addresses()["Addresses"]),
            quota=quota("Elastic IP addresses"),
            needed=nat_gateways,
            remedy="Raise the quota, deploy with fewer NatGateways, or use an existing VPC.",
        )

    def vpcs() -> Check:
        return check_quota(
            "VPCs",
            used=len(ec2.describe_vpcs()["Vpcs"]),
            quota=quota("VPCs"),
            needed=1,
            remedy="Raise the quota, or use an existing VPC (parameter VpcId).",
        )

    def permissions() -> Check:
        if arn.endswith(":root"):
            return Check(
                "permissions",
                Result.WARN,
                "the account's root may do everything",
                "Deploy with an identity that has docs/deployer-policy.json and no more.",
            )
        actions = needed_actions(json.loads(POLICY.read_text(encoding="utf-8")))
        pages = (
            make("iam")
            .get_paginator("simulate_principal_policy")
            .paginate(PolicySourceArn=_principal(arn), ActionNames=actions)
        )
        denied = [
            found["EvalActionName"]
            for page in pages
            for found in page["EvaluationResults"]
            if found["EvalDecision"] != "allowed"
        ]
        return check_permissions(denied)

    checks.append(_attempt("availability zones", zones, "Allow ec2:DescribeAvailabilityZones."))
    present: list[str | None] = []

    def control_stack() -> Check:
        present.append(state())
        return check_stack(stack, present[-1])

    checks.append(_attempt("control stack", control_stack, "Allow cloudformation:DescribeStacks."))
    if present == [None]:  # an update makes neither a VPC nor addresses
        checks.append(_attempt("Elastic IP addresses", addresses, "Allow ec2:DescribeAddresses."))
        checks.append(_attempt("VPCs", vpcs, "Allow ec2:DescribeVpcs."))
    checks.append(
        _attempt(
            "permissions",
            permissions,
            "Allow iam:SimulatePrincipalPolicy, or compare with docs/deployer-policy.json by hand.",
        )
    )
    return checks


def _check_tool(name: str, remedy: str) -> Check:
    found = shutil.which(name)
    if found:
        return Check(name, Result.PASS, "on PATH")
    return Check(name, Result.FAIL, "not on PATH", remedy)


def _principal(arn: str) -> str:
    """ARN of the role behind a session, as the simulator takes it."""
    # arn:aws:sts::123456789012:assumed-role/NAME/SESSION -> arn:aws:iam::123456789012:role/NAME
    if ":assumed-role/" not in arn:
        return arn
    head, _, tail = arn.partition(":assumed-role/")
    return f"{head.replace(':sts:', ':iam:')}:role/{tail.split('/', 1)[0]}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report; exit status 1 when a check failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", default="camunda-lifecycle")
    parser.add_argument("--nat-gateways", type=int, default=3, choices=(0, 1, 3))
    given = parser.parse_args(argv)
    checks = [check_stack_name(given.stack), *collect(given.stack, given.nat_gateways)]
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{check.result:4}  {check.name:{width}}  {check.seen}")
        if check.remedy:
            print(f"      {'':{width}}  → {check.remedy}")
    return 1 if overall(checks) is Result.FAIL else 0


if __name__ == "__main__":
    sys.exit(main())
