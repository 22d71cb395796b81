"""In-memory twin of the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class MemoryMetrics:
    """What was measured, oldest first."""

    emitted: list[tuple[str, dict[str, float]]] = field(default_factory=list)

    def emit(self, cluster_stack: str, values: Mapping[str, float]) -> None:
        """Note the values of one cluster."""
        self.emitted.append((cluster_stack, dict(values)))
