"""In-memory fake of Application Auto Scaling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.services.autoscaling import ScalableTarget


@dataclass
class FakeScalableTargets:
    """Targets that a test registers; ``error`` instead of an answer where it is set."""

    registered: list[ScalableTarget] = field(default_factory=list)
    error: Exception | None = None

    def of_services(self, ecs_cluster: str, services: Sequence[str]) -> list[ScalableTarget]:
        """Targets of these services."""
        if self.error is not None:
            raise self.error
        return [
            one
            for one in self.registered
            if one.ecs_cluster == ecs_cluster and one.service in services
        ]
