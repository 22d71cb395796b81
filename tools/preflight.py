"""Check what `sam deploy` needs, before it creates anything. Changes nothing.

make preflight                       # with the credentials and region of your shell
make preflight NAT_GATEWAYS=1 STACK=camunda-dev
make preflight ZONES=ap-northeast-1a,ap-northeast-1c,ap-northeast-1d    # ZoneA, ZoneB, ZoneC
make preflight API_LOG_ROLE=present  # as ApiGatewayLogRole will be
make preflight CONSOLE=cognito       # as Console will be
make preflight API_DOMAIN=lifecycle.example.com   # as ApiDomainName will be
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.names import (
    ALIKE_RULE,
    CONTROL_STACK_RULE,
    alike,
    control_stack_problem,
    control_stacks,
)
from lifecycle.preflight.checks import FARGATE_ZONES

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

POLICY = Path(__file__).parents[1] / "docs" / "deployer-policy.json"
NETWORK = POLICY.with_name("deployer-network-policy.json")
OF_CONSOLE = POLICY.with_name("console-policy.json")
OF_API_DOMAIN = POLICY.with_name("api-domain-policy.json")
BOUNDARIES = POLICY.with_name("boundaries-policy.json")
_POLICY_STACK = "camunda-lifecycle"  # the control stack of the policy's resources and tags
_ZONES = 3
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


@dataclass(frozen=True)
class Zone:
    """An availability zone; its name stands for another one in each account, its id does not."""

    name: str
    zone_id: str

    def has_fargate(self, region: str) -> bool:
        """Whether Fargate runs in it; a zone whose id is not known has it only where all have."""
        served = FARGATE_ZONES.get(region)
        return served is None or self.zone_id in served

    def __str__(self) -> str:
        return f"{self.name} ({self.zone_id or 'its id is not known'})"


def listed_by_cloudformation(
    zones: Iterable[Zone], with_default_subnet: Container[str]
) -> list[Zone]:
    """Give the zones that ``Fn::GetAZs`` lists, in its order.

    Those that have a default subnet, unless none has one; in alphabetical order, which is not
    guaranteed.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getavailabilityzones.html
    """
    ordered = sorted(zones, key=lambda zone: zone.name)
    return [zone for zone in ordered if zone.name in with_default_subnet] or ordered


def check_zones(
    region: str, zones: Sequence[Zone], listed: Sequence[Zone], chosen: Sequence[str] = ()
) -> Check:
    """Three availability zones with Fargate, one for each broker and copy.

    ``zones`` are those of the account, ``listed`` those that ``Fn::GetAZs`` lists, ``chosen`` the
    names that the parameters ZoneA, ZoneB and ZoneC will have.
    """
    name = "availability zones"
    good = [zone for zone in zones if zone.has_fargate(region)]
    seen = f"{len(good)} with Fargate: {', '.join(map(str, good)) or 'none'}"
    if len(good) < _ZONES:
        return Check(name, Result.FAIL, seen, "Choose a region with three such zones.")
    best = [zone for zone in listed if zone.has_fargate(region)]
    best += [zone for zone in good if zone not in best]
    remedy = "Use an existing VPC (VpcId), or deploy with " + " ".join(
        f"Zone{letter}={zone.name}" for letter, zone in zip("ABC", best, strict=False)
    )
    if chosen:
        wrong = [one for one in chosen if one not in {zone.name for zone in good}]
        if wrong or len(set(chosen)) != _ZONES:
            told = (
                f"; chosen: {', '.join(chosen)}; not usable: {', '.join(wrong) or 'their number'}"
            )
            return Check(name, Result.FAIL, seen + told, f"{remedy}.")
        return Check(name, Result.PASS, f"{', '.join(chosen)}, all with Fargate")
    first = listed[:_ZONES]
    without = [str(zone) for zone in first if zone not in good]
    if len(first) < _ZONES or without:
        told = f"; CloudFormation takes {', '.join(map(str, first)) or 'none'}"
        return Check(name, Result.FAIL, seen + told, f"{remedy}.")
    if any(zone not in good for zone in listed):
        told = "; CloudFormation takes these first, but does not guarantee the order"
        return Check(name, Result.WARN, seen + told, f"{remedy} to be sure.")
    return Check(name, Result.PASS, seen)


def check_quota(name: str, *, used: int, quota: float | None, needed: int, remedy: str) -> Check:
    """Room for what will be created; ``quota`` is None where it could not be read."""
    if quota is None:
        return Check(
            name,
            Result.WARN,
            f"{used} used, {needed} needed; the quota could not be read",
            "Allow servicequotas:GetServiceQuota, or check it in the Service Quotas console.",
        )
    seen = f"{used} of {quota:.0f} used, {needed} needed"
    if used + needed <= quota:
        return Check(name, Result.PASS, seen)
    return Check(name, Result.FAIL, seen, remedy)


def read_quota(api: Any, service: str, code: str) -> float | None:
    """Value of a quota; None where it cannot be read.

    Service Quotas calls the service with the caller's permissions; if that fails, its response is
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


def check_api_log_role(role: str, parameter: str) -> Check:
    """The role with which API Gateway writes logs is one setting of account and region.

    ``role`` is its ARN, empty where none is set; ``parameter`` the value that ApiGatewayLogRole
    will have. A stage with an access log cannot be made without it, and CloudFormation's resource
    for it replaces the one that is there.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apigateway-account.html
    """
    name = "API Gateway's log role"
    if role and parameter == "create":
        return Check(
            name,
            Result.FAIL,
            f"the account has {role}, which the stack would replace for every API of the region",
            "Deploy with ApiGatewayLogRole=present.",
        )
    if role:
        return Check(name, Result.PASS, f"{role} stays")
    if parameter == "create":
        return Check(name, Result.PASS, "the account has none yet; the stack creates and sets one")
    return Check(
        name,
        Result.FAIL,
        "the account has none, so creating the API would fail",
        "Deploy with ApiGatewayLogRole=create.",
    )


def check_stack_name(name: str) -> Check:
    """A name that the policies match; CloudFormation's own Rules know no lengths or patterns."""
    problem = control_stack_problem(name)
    if not problem:
        return Check("stack name", Result.PASS, name)
    return Check("stack name", Result.FAIL, f"{name}: {problem}", f"Choose {CONTROL_STACK_RULE}.")


def check_control_stacks(name: str, present: Iterable[str]) -> Check:
    """No other control stack of account and region whose resources the policies would match."""
    others = alike(name, present)
    if others:
        return Check(
            "control stacks",
            Result.FAIL,
            f"{name} and {', '.join(others)} begin alike, so that policies of one match buckets "
            "and logs of the other",
            f"Choose {ALIKE_RULE}.",
        )
    return Check("control stacks", Result.PASS, f"no other control stack's name is like {name}")


def check_stack(name: str, status: str | None) -> Check:
    """A stack that can be created or updated."""
    if status is None:
        return Check("control stack", Result.PASS, f"{name} does not exist yet")
    if status.endswith("_IN_PROGRESS"):
        return Check(
            "control stack", Result.FAIL, f"{name} is in {status}", "Wait until it has finished."
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


@dataclass(frozen=True)
class Question:
    """One call of IAM's policy simulator: these actions, on one resource, with these conditions."""

    actions: tuple[str, ...]
    resource: str
    context: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Answer:
    """The simulator's decision on one action on one resource."""

    action: str
    resource: str
    allowed: bool
    missing: tuple[str, ...] = ()
    """Condition keys of other policies that its decision would have needed."""
    under: str = ""
    """The values of condition keys that were given, each set of which has to be enough."""


def questions(
    policy: dict[str, Any], *, stack: str, partition: str, region: str, account: str
) -> list[Question]:
    """Build the questions for each statement of a policy: its resources, its conditions.

    A right on some resources is not one on `*`, and a condition whose key is not given does not
    hold. So placeholders become what this deployment would use: the region, the account, the
    stack's name. Actions with a wildcard are left out, which the simulator does not take.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    asked = []
    for statement in policy["Statement"]:
        if statement["Effect"] == "Deny":
            continue
        actions = [one for one in _listed(statement["Action"]) if "*" not in one]
        conditions = statement.get("Condition", {})
        contexts = _contexts(conditions, stack, partition, region, account)
        for pattern in _listed(statement["Resource"]):
            here = tuple(one for one in actions if pattern == "*" or _service(pattern) in one)
            resource = _resource(pattern, stack, partition, region, account)
            asked += [Question(here, resource, context) for context in contexts if here]
    return asked


def check_permissions(answers: Sequence[Answer]) -> Check:
    """Every action of docs/deployer-policy.json, on the resources that it names.

    Denied on each resource of its statements is missing. Denied on some may be right, because an
    action is for one type of resource; a denial because of a key of another policy is inconclusive.
    """
    by_action: dict[tuple[str, str], list[Answer]] = {}
    for answer in answers:
        by_action.setdefault((answer.action, answer.under), []).append(answer)
    denied = {
        action
        for (action, _), all_of_it in by_action.items()
        if not any(one.allowed or one.missing for one in all_of_it)
    }
    if denied:
        return Check(
            "permissions",
            Result.FAIL,
            f"not allowed: {_shortened(denied)}",
            "Attach docs/deployer-policy.json and docs/deployer-network-policy.json to the "
            "deploying identity, docs/boundaries-policy.json for the first deployment, with "
            "Console=cognito docs/console-policy.json, with ApiDomainName "
            "docs/api-domain-policy.json.",
        )
    unsure = [one for one in answers if not one.allowed]
    if unsure:
        keys = sorted({key for one in unsure for key in one.missing})
        named = f"; conditions of other policies: {', '.join(keys)}" if keys else ""
        return Check(
            "permissions",
            Result.WARN,
            f"not on every resource: {_shortened({f'{o.action} on {o.resource}' for o in unsure})}"
            f"{named}",
            "Compare with docs/deployer-policy.json manually.",
        )
    if not answers:
        return Check("permissions", Result.WARN, "nothing was simulated", "Compare manually.")
    return Check("permissions", Result.PASS, "docs/deployer-policy.json, on its resources")


def _of_the_organization(found: Mapping[str, Any]) -> tuple[str, ...]:
    """What the simulator denies by a policy of the organization: it lacks keys of real requests."""
    allowed = found.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True)
    return () if allowed else ("a policy of the organization",)


def simulate(iam: Any, principal: str, asked: Iterable[Question]) -> list[Answer]:
    """Call IAM's policy simulator, one resource in each call.

    Raises botocore's errors, for example AccessDenied without iam:SimulatePrincipalPolicy.
    """
    pages = iam.get_paginator("simulate_principal_policy")
    asked = list(asked)
    ours = {entry["ContextKeyName"] for question in asked for entry in question.context}
    return [
        Answer(
            found["EvalActionName"],
            question.resource,
            found["EvalDecision"] == "allowed",
            (
                *(key for key in found.get("MissingContextValues", ()) if key not in ours),
                *_of_the_organization(found),
            ),
            json.dumps(question.context),
        )
        for question in asked
        for page in pages.paginate(
            PolicySourceArn=principal,
            ActionNames=list(question.actions),
            ResourceArns=[question.resource],
            ContextEntries=list(question.context),
        )
        for found in page["EvaluationResults"]
    ]


def principal(arn: str, iam: Any) -> str:
    """Find the user or role behind a caller, as the simulator takes it.

    The ARN of a session lacks the path of its role, which roles of IAM Identity Center have
    (/aws-reserved/sso.amazonaws.com/…), so the role is read from IAM.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
    """
    if ":assumed-role/" not in arn:
        return arn
    name = arn.partition(":assumed-role/")[2].split("/", 1)[0]
    return str(iam.get_role(RoleName=name)["Role"]["Arn"])


def _contexts(
    conditions: dict[str, dict[str, Any]], stack: str, partition: str, region: str, account: str
) -> list[tuple[dict[str, Any], ...]]:
    """Condition keys under which a statement holds: a set of them for each value of each key."""
    entries: list[list[dict[str, Any]]] = [[_entry("aws:RequestedRegion", [region], several=False)]]
    for operator, keys in conditions.items():
        several = operator.startswith(("ForAnyValue:", "ForAllValues:"))
        for key, given in keys.items():
            values = [
                _resource(value, stack, partition, region, account)
                if value.startswith("arn:")
                else _named(value, stack)
                for value in _listed(given)
            ]
            entries.append(
                [_entry(key, values, several=True)]
                if several
                else [_entry(key, [value], several=False) for value in values]
            )
    return list(itertools.product(*entries))


def _entry(key: str, values: list[str], *, several: bool) -> dict[str, Any]:
    return {
        "ContextKeyName": key,
        "ContextKeyType": "stringList" if several else "string",
        "ContextKeyValues": values,
    }


def _resource(pattern: str, stack: str, partition: str, region: str, account: str) -> str:
    if pattern == "*":
        return pattern
    fields = pattern.split(":", 5)
    fields[1] = partition
    fields[3] = region if fields[3] == "*" else fields[3]
    fields[4] = account if fields[4] == "*" else fields[4]
    fields[5] = _named(fields[5], stack)
    return ":".join(fields)


def _named(pattern: str, stack: str) -> str:
    """Give one name that a pattern of the policy stands for in this deployment."""
    return pattern.replace(_POLICY_STACK, stack).replace("*", "preflight")


def _service(arn: str) -> str:
    return f"{arn.split(':')[2]}:"


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _shortened(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return f"{', '.join(listed[:8])}{more}"


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


def collect(
    stack: str,
    nat_gateways: int,
    zones: Sequence[str] = (),
    api_log_role: str = "create",
    *,
    console: bool = False,
    api_domain: bool = False,
) -> list[Check]:
    """Run every check with the credentials and region of the environment.

    ``console``, ``api_domain``: whether the deployment creates the console, and a name of its own
    for the API, each of which needs more permissions.
    """
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

    def availability_zones() -> Check:
        found = ec2.describe_availability_zones(
            Filters=[
                {"Name": "zone-type", "Values": ["availability-zone"]},
                {"Name": "state", "Values": ["available"]},
            ]
        )["AvailabilityZones"]
        available = [Zone(zone["ZoneName"], zone.get("ZoneId", "")) for zone in found]
        subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
        listed = listed_by_cloudformation(
            available, {subnet["AvailabilityZone"] for subnet in subnets["Subnets"]}
        )
        return check_zones(session.region_name, available, listed, zones)

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

    def log_role() -> Check:
        account = make("apigateway").get_account()
        return check_api_log_role(account.get("cloudwatchRoleArn") or "", api_log_role)

    def permissions() -> Check:
        if arn.endswith(":root"):
            return Check(
                "permissions",
                Result.WARN,
                "the account's root user has all permissions",
                "Deploy with an identity that has only docs/deployer-policy.json.",
            )
        iam = make("iam")
        # Boundaries are created with the stack, and changed by few releases.
        policies = [POLICY, NETWORK, *([BOUNDARIES] if present == [None] else [])]
        # The console's users have a boundary, which an update may create.
        policies += [one for one in (OF_CONSOLE, BOUNDARIES) if console and one not in policies]
        policies += [OF_API_DOMAIN] if api_domain else []
        asked = [
            question
            for policy in policies
            for question in questions(
                json.loads(policy.read_text(encoding="utf-8")),
                stack=stack,
                partition=arn.split(":")[1],
                region=session.region_name,
                account=caller["Account"],
            )
        ]
        return check_permissions(simulate(iam, principal(arn, iam), asked))

    def named_alike() -> Check:
        pages = make("cloudformation").get_paginator("list_exports").paginate()
        found = [one for page in pages for one in page["Exports"]]
        exports = ((one["Name"], one["ExportingStackId"]) for one in found)
        return check_control_stacks(stack, control_stacks(exports))

    present: list[str | None] = []

    def control_stack() -> Check:
        present.append(state())
        return check_stack(stack, present[-1])

    checks.append(_attempt("control stack", control_stack, "Allow cloudformation:DescribeStacks."))
    checks.append(_attempt("control stacks", named_alike, "Allow cloudformation:ListExports."))
    if present == [None]:  # an update makes none of these
        checks.append(
            _attempt(
                "availability zones",
                availability_zones,
                "Allow ec2:DescribeAvailabilityZones and ec2:DescribeSubnets.",
            )
        )
        checks.append(_attempt("Elastic IP addresses", addresses, "Allow ec2:DescribeAddresses."))
        checks.append(_attempt("VPCs", vpcs, "Allow ec2:DescribeVpcs."))
        checks.append(
            _attempt(
                "API Gateway's log role",
                log_role,
                "Allow apigateway:GET on /account, or see `aws apigateway get-account`: where it "
                "names a cloudwatchRoleArn, deploy with ApiGatewayLogRole=present.",
            )
        )
    checks.append(
        _attempt(
            "permissions",
            permissions,
            "Allow iam:SimulatePrincipalPolicy and iam:GetRole, or compare with "
            "docs/deployer-policy.json by hand.",
        )
    )
    return checks


def _check_tool(name: str, remedy: str) -> Check:
    found = shutil.which(name)
    if found:
        return Check(name, Result.PASS, "on PATH")
    return Check(name, Result.FAIL, "not on PATH", remedy)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the report; exit status 1 when a check failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", default="camunda-lifecycle")
    parser.add_argument("--nat-gateways", type=int, default=3, choices=(0, 1, 3))
    parser.add_argument("--zones", default="", help="ZoneA,ZoneB,ZoneC; empty: not set")
    parser.add_argument("--api-log-role", default="create", choices=("create", "present"))
    parser.add_argument("--api-domain", default="", help="as ApiDomainName will be")
    parser.add_argument("--console", default="none", choices=("none", "cognito"))
    given = parser.parse_args(argv)
    zones = [one for one in given.zones.split(",") if one]
    found = collect(
        given.stack,
        given.nat_gateways,
        zones,
        given.api_log_role,
        console=given.console == "cognito",
        api_domain=bool(given.api_domain),
    )
    checks = [check_stack_name(given.stack), *found]
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{check.result:4}  {check.name:{width}}  {check.seen}")
        if check.remedy:
            print(f"      {'':{width}}  → {check.remedy}")
    return 1 if overall(checks) is Result.FAIL else 0


if __name__ == "__main__":
    sys.exit(main())
