"""In-memory twin of the probe: answers set by the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class MemoryProbe:
    """Answers by question, each as it is or made of the cluster that is asked about."""

    answers: dict[str, Mapping[str, Any] | Callable[[Mapping[str, str]], Mapping[str, Any]]] = (
        field(default_factory=dict)
    )

    def ask(self, question: str, cluster: Mapping[str, str]) -> Mapping[str, Any]:
        """Ask about a cluster."""
        answer = self.answers[question]
        return answer(cluster) if callable(answer) else answer
