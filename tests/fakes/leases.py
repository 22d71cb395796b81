"""In-memory fake of the leases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class FakeLeases:
    """Task and end of the lease (milliseconds) by node id; none at all: ids are fixed."""

    held: dict[int, tuple[str, int]] = field(default_factory=dict)

    def read(self, bucket: str, nodes: Sequence[int]) -> dict[str, Any]:
        """Give the leases of some node ids."""
        del bucket
        return {
            "used": bool(self.held),
            "leases": [
                {"node": node, "task": self.held[node][0], "until": self.held[node][1]}
                for node in nodes
                if node in self.held
            ],
        }
