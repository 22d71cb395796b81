"""In-memory fake of the Fargate quota."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class FakeFargateQuota:
    """Limit and use, set by the test."""

    limit: float | None = 100.0
    used: float | None = 0.0

    def vcpus(self) -> tuple[float | None, float | None]:
        """Limit and present use."""
        return self.limit, self.used
