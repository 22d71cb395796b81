"""In-memory fake of what holds data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.cluster.stack import StackResource


@dataclass
class FakeStorage:
    """Sizes by physical id, and how many objects each bucket still holds."""

    sizes: dict[str, int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    at_once: int = 1000

    def size(self, resource: StackResource) -> int | None:
        """Bytes that a resource holds."""
        return self.sizes.get(resource.physical_id)

    def empty_bucket(self, name: str) -> bool:
        """Delete objects for a while."""
        left = self.objects.get(name, 0)
        self.objects[name] = max(0, left - self.at_once)
        return left == 0
