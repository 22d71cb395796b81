"""Load balancers and their target groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client
from lifecycle.cluster.checks import TargetHealth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client


class ElbTargetGroups:
    """The ``TargetGroups`` port on Elastic Load Balancing; ``read_timeout`` in seconds."""

    def __init__(self, *, read_timeout: int = 20, attempts: int = 8) -> None:
        self._read_timeout = read_timeout
        self._attempts = attempts

    def health(self, arn: str) -> Sequence[TargetHealth]:
        """Return the targets of a group with the state that the load balancer reports."""
        api = client("elbv2", read_timeout=self._read_timeout, attempts=self._attempts)
        answer = api.describe_target_health(TargetGroupArn=arn)
        return [
            TargetHealth(
                address=found["Target"]["Id"],
                state=found["TargetHealth"]["State"],
                reason=found["TargetHealth"].get("Reason", ""),
            )
            for found in answer["TargetHealthDescriptions"]
        ]


class ElbBalancers:
    """The ``Balancers`` port on Elastic Load Balancing."""

    @property
    def _api(self) -> ElasticLoadBalancingv2Client:
        api: ElasticLoadBalancingv2Client = client("elbv2")
        return api

    def unprotect(self, arn: str) -> None:
        """Turn deletion protection off.

        Source: the API reference of ModifyLoadBalancerAttributes.
        """
        try:
            self._api.modify_load_balancer_attributes(
                LoadBalancerArn=arn,
                Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}],
            )
        except self._api.exceptions.LoadBalancerNotFoundException:
            return
