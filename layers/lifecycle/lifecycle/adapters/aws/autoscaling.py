"""Scalable targets of ECS services in Application Auto Scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.adapters.aws.session import client
from lifecycle.services.autoscaling import ScalableTarget

if TYPE_CHECKING:
    from collections.abc import Sequence


class AwsScalableTargets:
    """The ``ScalableTargets`` port on Application Auto Scaling."""

    def __init__(self, *, read_timeout: int = 10, attempts: int = 3) -> None:
        self._read_timeout = read_timeout
        self._attempts = attempts

    def of_services(self, ecs_cluster: str, services: Sequence[str]) -> list[ScalableTarget]:
        """Return the targets that are registered for the desired counts of these services.

        Source: https://docs.aws.amazon.com/autoscaling/application/APIReference/
        API_DescribeScalableTargets.html
        """
        api = client(
            "application-autoscaling", read_timeout=self._read_timeout, attempts=self._attempts
        )
        answer = api.describe_scalable_targets(
            ServiceNamespace="ecs",
            ScalableDimension="ecs:service:DesiredCount",
            ResourceIds=[f"service/{ecs_cluster}/{service}" for service in services],
        )
        return [_read(one) for one in answer["ScalableTargets"]]


def _read(found: Any) -> ScalableTarget:
    _, ecs_cluster, service = found["ResourceId"].split("/")
    state = found.get("SuspendedState", {})
    kinds = (
        "DynamicScalingInSuspended",
        "DynamicScalingOutSuspended",
        "ScheduledScalingSuspended",
    )
    return ScalableTarget(
        ecs_cluster=ecs_cluster,
        service=service,
        minimum=found["MinCapacity"],
        maximum=found["MaxCapacity"],
        suspended=all(state.get(kind, False) for kind in kinds),
    )
