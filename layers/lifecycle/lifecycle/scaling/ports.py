"""Ports of this room: how services were made, and the Fargate quota."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lifecycle.scaling.adoption import ServiceDesign


class ServiceDesigns(Protocol):
    """How ECS services were made."""

    def read(self, ecs_cluster: str, service: str) -> ServiceDesign:
        """Read how a service was made. Raises ``ServiceMissing``."""
        ...


class FargateQuota(Protocol):
    """Fargate On-Demand vCPUs of this account and region."""

    def vcpus(self) -> tuple[float | None, float | None]:
        """Limit and present use; None for what cannot be read."""
        ...
