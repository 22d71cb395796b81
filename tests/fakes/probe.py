"""In-memory fake of the probe: answers set by the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass
class FakeProbe:
    """Answers by question, each as it is or made of the cluster that is asked about."""

    answers: dict[str, Mapping[str, Any] | Callable[[Mapping[str, str]], Mapping[str, Any]]] = (
        field(default_factory=dict)
    )

    def ask(self, question: str, cluster: Mapping[str, str]) -> Mapping[str, Any]:
        """Ask about a cluster."""
        answer = self.answers[question]
        return answer(cluster) if callable(answer) else answer
