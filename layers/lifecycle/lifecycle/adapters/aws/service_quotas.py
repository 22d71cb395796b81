"""Quotas of the account, and what is used of Fargate's vCPU by CloudWatch's usage metric.

Source: "Service quotas and usage metrics" of Amazon ECS. Both answer with delay and may be denied;
then Fargate's quota is ``None`` instead of standing in the way.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.adapters.aws.session import client
from lifecycle.errors import AwsRefused

# https://docs.aws.amazon.com/general/latest/gr/ecs-service.html
FARGATE_VCPU: Final = ("fargate", "L-3032A538")
_USE: Final = {
    "Service": "Fargate",
    "Type": "Resource",
    "Resource": "vCPU",
    "Class": "Standard/OnDemand",
}


def quota_value(service: str, code: str) -> float:
    """Return the value of a quota: what was applied to the account, else AWS's default.

    Raises ``AwsRefused`` for an answer without a value. Service Quotas calls the service itself
    with the caller's rights; an error of that call is part of a successful response.
    https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ErrorReason.html
    """
    api = client("service-quotas", attempts=3)
    try:
        answer = api.get_service_quota(ServiceCode=service, QuotaCode=code)
    except api.exceptions.NoSuchResourceException:
        answer = api.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)
    quota = answer["Quota"]
    if quota.get("Value") is None:
        reason = quota.get("ErrorReason", {})
        raise AwsRefused(
            f"Quota {code} of {service} has no value:"
            f" {reason.get('ErrorCode', 'no reason given')} {reason.get('ErrorMessage', '')}"
        )
    return float(quota["Value"])


class AwsFargateQuota:
    """The ``FargateQuota`` port on Service Quotas and CloudWatch."""

    def vcpus(self) -> tuple[float | None, float | None]:
        """Return limit and present use of On-Demand vCPUs; None for what cannot be read."""
        return self._limit(), self._use()

    @staticmethod
    def _limit() -> float | None:
        try:
            return quota_value(*FARGATE_VCPU)
        except (AwsRefused, BotoCoreError, ClientError):
            return None

    @staticmethod
    def _use() -> float | None:
        now = datetime.now(UTC)
        try:
            points = client("cloudwatch", attempts=2).get_metric_statistics(
                Namespace="AWS/Usage",
                MetricName="ResourceCount",
                Dimensions=[{"Name": name, "Value": value} for name, value in _USE.items()],
                StartTime=now - timedelta(minutes=15),
                EndTime=now,
                Period=300,
                Statistics=["Maximum"],
            )["Datapoints"]
        except (BotoCoreError, ClientError):
            return None
        if not points:
            return None
        return float(max(points, key=lambda point: point["Timestamp"])["Maximum"])
