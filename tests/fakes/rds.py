"""In-memory fakes of what is protected from deletion: Aurora and load balancers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class FakeDatabases:
    """Aurora clusters that are protected, and snapshots by the cluster they were taken of."""

    protected: set[str] = field(default_factory=set)
    taken: dict[str, list[str]] = field(default_factory=dict)

    def protect(self, identifier: str, *, on: bool) -> None:
        """Turn deletion protection on or off."""
        if on:
            self.protected.add(identifier)
        else:
            self.protected.discard(identifier)

    def snapshots(self, identifier: str) -> Sequence[str]:
        """Names of the snapshots."""
        return self.taken.get(identifier, [])


@dataclass
class FakeBalancers:
    """Load balancers that are protected, by ARN."""

    protected: set[str] = field(default_factory=set)

    def unprotect(self, arn: str) -> None:
        """Turn deletion protection off."""
        self.protected.discard(arn)
