"""Fargate's vCPU quota: Service Quotas for the limit, CloudWatch's usage metric for the use.

Source: "Service quotas and usage metrics" of Amazon ECS. Both answer with delay and may be denied;
then they say so with ``None`` instead of standing in the way.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.adapters.aws import client

_FARGATE_ON_DEMAND_VCPU: Final = "L-3032A538"
_USE: Final = {
    "Service": "Fargate",
    "Type": "Resource",
    "Resource": "vCPU",
    "Class": "Standard/OnDemand",
}


class AwsFargateQuota:
    """The ``FargateQuota`` port on Service Quotas and CloudWatch."""

    def vcpus(self) -> tuple[float | None, float | None]:
        """Limit and present use of On-Demand vCPUs; None for what cannot be read."""
        return self._limit(), self._use()

    @staticmethod
    def _limit() -> float | None:
        try:
            answer = client("service-quotas", attempts=2).get_service_quota(
                ServiceCode="fargate", QuotaCode=_FARGATE_ON_DEMAND_VCPU
            )
        except (BotoCoreError, ClientError):
            return None
        return float(answer["Quota"]["Value"])

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
