"""In-memory fake of the probe: answers set by the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass
class FakeProbe:
    """Answers by question, each as it is or made of the cluster that is asked about."""

    answers: dict[str, Mapping[str, Any] | Callable[..., Mapping[str, Any]]] = field(
        default_factory=dict
    )

    def query(
        self, question: str, cluster: Mapping[str, str], **arguments: object
    ) -> Mapping[str, Any]:
        """Return the answer set."""
        answer = self.answers[question]
        return answer(cluster, **arguments) if callable(answer) else answer
