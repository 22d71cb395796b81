"""Application Auto Scaling on a cluster's services: others attached it, nothing of ours does.

Camunda's guide warns of it: brokers join and leave by cluster-scaling calls alone, so that a count
that an alarm or a schedule lowers stops brokers that hold partitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.checks import Check, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

DEREGISTER: Final = (
    "Remove it: aws application-autoscaling deregister-scalable-target --service-namespace ecs "
    "--scalable-dimension ecs:service:DesiredCount --resource-id {resource}; or suspend it, all "
    "three of its kinds"
)


@dataclass(frozen=True, slots=True)
class ScalableTarget:
    """A service whose desired count Application Auto Scaling may change, within its bounds.

    ``suspended`` is true where dynamic scaling in and out and scheduled scaling are. Source:
    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_ScalableTarget.html
    """

    ecs_cluster: str
    service: str
    minimum: int
    maximum: int
    suspended: bool

    @property
    def resource(self) -> str:
        """Its id in Application Auto Scaling."""
        return f"service/{self.ecs_cluster}/{self.service}"

    def __str__(self) -> str:
        return (
            f"Application Auto Scaling may set the count of {self.service} to any number from "
            f"{self.minimum} to {self.maximum}"
        )


def acting(targets: Sequence[ScalableTarget], service: str) -> ScalableTarget | None:
    """Return what may change the count of a service now; None where nothing may."""
    return next((one for one in targets if one.service == service and not one.suspended), None)


def check_brokers(
    name: str, targets: Sequence[ScalableTarget] | None, service: str, *, unread: str = ""
) -> Check:
    """Check that only the state machines change the count of brokers.

    ``unread`` is why that is unknown. What could not be read is a warning, as everywhere: a right
    may be missing.
    """
    if targets is None:
        return Check(
            name,
            Result.WARN,
            f"could not be read: {unread or 'no answer'}",
            "Look whether Application Auto Scaling knows the brokers' service.",
        )
    found = acting(targets, service)
    if found is None:
        return Check(name, Result.PASS, "nothing scales the brokers' service by itself")
    return Check(name, Result.FAIL, str(found), DEREGISTER.format(resource=found.resource) + ".")
