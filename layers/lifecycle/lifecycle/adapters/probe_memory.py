"""In-memory twin of the probe: answers set by the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class MemoryProbe:
    """Answers by question."""

    answers: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def ask(self, question: str, cluster: Mapping[str, str]) -> Mapping[str, Any]:
        """Ask about a cluster."""
        del cluster
        return self.answers[question]
