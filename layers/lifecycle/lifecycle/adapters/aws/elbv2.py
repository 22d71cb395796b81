"""Load-balancer target groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client
from lifecycle.cluster.checks import TargetHealth

if TYPE_CHECKING:
    from collections.abc import Sequence


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
