"""In-memory fake of the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass
class FakeMetrics:
    """What was measured, oldest first."""

    emitted: list[tuple[str, dict[str, float]]] = field(default_factory=list)
    codes: list[list[str]] = field(default_factory=list)

    def emit(
        self, cluster_stack: str, values: Mapping[str, float], findings: Sequence[str]
    ) -> None:
        """Note the values of one cluster, and the codes of its findings."""
        self.emitted.append((cluster_stack, dict(values)))
        self.codes.append(list(findings))
