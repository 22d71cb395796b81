"""A quota's value is missing if the caller has no permission on the service that keeps it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import app, iam_actions, iam_evaluator, router
from local.aws.strict import Rule
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_SERVICE: Final = "servicequotas"
_TARGET: Final = "ServiceQuotasV20190624"

# The actions of other services in AWS's policy ServiceQuotasReadOnlyAccess that return limits.
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/ServiceQuotasReadOnlyAccess.html
ASKED_WITH: Final[Mapping[str, str]] = {
    "autoscaling": "autoscaling:DescribeAccountLimits",
    "cloudformation": "cloudformation:DescribeAccountLimits",
    "dynamodb": "dynamodb:DescribeLimits",
    "elasticloadbalancing": "elasticloadbalancing:DescribeAccountLimits",
    "iam": "iam:GetAccountSummary",
    "kinesis": "kinesis:DescribeLimits",
    "rds": "rds:DescribeAccountAttributes",
    "route53": "route53:GetAccountLimit",
}
"""The action that Service Quotas calls with the caller's permissions, by service code."""

# AWS's defaults, but for Fargate: a new account starts with 6, this one has a raised quota.
_QUOTAS: Final[Mapping[tuple[str, str], tuple[str, float]]] = {
    ("ec2", "L-0263D0A3"): ("EC2-VPC Elastic IPs", 5.0),
    ("elasticloadbalancing", "L-53DA6B97"): ("Application Load Balancers per Region", 50.0),
    ("elasticloadbalancing", "L-69A177A2"): ("Network Load Balancers per Region", 50.0),
    ("fargate", "L-3032A538"): ("Fargate On-Demand vCPU resource count", 100.0),
    ("rds", "L-952B80B8"): ("DB clusters", 40.0),
    ("rds", "L-7B6409FD"): ("DB instances", 40.0),
    ("vpc", "L-F678F1CE"): ("VPCs per Region", 5.0),
}


def install(_strictness: Strictness) -> None:
    """Serve Service Quotas, which the emulator lacks."""
    router.SERVICE_PATTERNS[_SERVICE] = {
        "host_patterns": [r"servicequotas\."],
        "target_prefixes": [_TARGET],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[_SERVICE] = _SERVICE
    iam_actions.extract_resource_arn = _quota_named(iam_actions.extract_resource_arn)
    app.SERVICE_HANDLERS[_SERVICE] = _handle


def quota(service: str, code: str, *, asked: bool) -> dict[str, Any]:
    """Give a quota as Service Quotas returns it; ``asked``: the service answers the caller."""
    name, value = _QUOTAS[service, code]
    told: dict[str, Any] = {
        "ServiceCode": service,
        "QuotaArn": _arn(service, code),
        "QuotaCode": code,
        "QuotaName": name,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
    if asked:
        return told | {"Value": value}
    reason = {
        "ErrorCode": "DEPENDENCY_ACCESS_DENIED_ERROR",
        "ErrorMessage": f"The caller does not have permission to call {ASKED_WITH[service]}",
    }
    return told | {"ErrorReason": reason}


async def _handle(
    _method: str, _path: str, headers: Mapping[str, str], body: bytes, query: Any
) -> tuple[int, dict[str, str], bytes]:
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    request = json.loads(body or b"{}")
    service, code = str(request.get("ServiceCode")), str(request.get("QuotaCode"))
    codes = [known for of, known in _QUOTAS if of == service]
    if action == "ListServiceQuotas" and codes:
        asked = _may_ask(service, headers, query)
        return _json(200, {"Quotas": [quota(service, known, asked=asked) for known in codes]})
    if action not in {"GetServiceQuota", "GetAWSDefaultServiceQuota"} or code not in codes:
        return _json(400, {"__type": "NoSuchResourceException", "Message": "There is no quota."})
    asked = action == "GetAWSDefaultServiceQuota" or _may_ask(service, headers, query)
    return _json(200, {"Quota": quota(service, code, asked=asked)})


def _may_ask(service: str, headers: Mapping[str, str], query: Any) -> bool:
    if service not in ASKED_WITH:
        return True
    key = router.extract_access_key_id(headers, query)
    return iam_evaluator.enforce(key, ASKED_WITH[service], service, REGION) is None


def _quota_named(own: Any) -> Any:
    """GetServiceQuota is authorised on the quota; no other action has a resource."""

    def extract(service: str, method: str, path: str, headers: Any, body: Any, *rest: Any) -> Any:
        if service != _SERVICE:
            return own(service, method, path, headers, body, *rest)
        request = json.loads(body or b"{}")
        if not str(headers.get("x-amz-target", "")).endswith(".GetServiceQuota"):
            return "*"
        return _arn(request.get("ServiceCode"), request.get("QuotaCode"))

    return extract


def _arn(service: str, code: str) -> str:
    return f"arn:aws:servicequotas:{REGION}:{ACCOUNT_ID}:{service}/{code}"


def _json(status: int, document: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()


RULE: Final = Rule(
    name="quota-values",
    does="GetServiceQuota and ListServiceQuotas return 200 with `ErrorReason` and without `Value`"
    " to a caller that has no permission on the underlying service"
    " (`elasticloadbalancing:DescribeAccountLimits`, `rds:DescribeAccountAttributes`, …).",
    source="https://github.com/hashicorp/terraform-provider-aws/issues/19719",
    caught="every first provisioning and every plan of one failed in preflight with `KeyError:"
    " 'Value'`.",
    install=install,
)
