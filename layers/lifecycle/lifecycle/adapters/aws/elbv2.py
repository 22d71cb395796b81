"""Load-balancer target groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client
from lifecycle.cluster.checks import TargetHealth

if TYPE_CHECKING:
    from collections.abc import Sequence


class ElbTargetGroups:
    """The ``TargetGroups`` port on Elastic Load Balancing."""

    def health(self, arn: str) -> Sequence[TargetHealth]:
        """Targets of a group and what the load balancer says of each."""
        answer = client("elbv2").describe_target_health(TargetGroupArn=arn)
        return [
            TargetHealth(
                address=found["Target"]["Id"],
                port=int(found["Target"].get("Port", 0)),
                state=found["TargetHealth"]["State"],
                reason=found["TargetHealth"].get("Reason", ""),
            )
            for found in answer["TargetHealthDescriptions"]
        ]
