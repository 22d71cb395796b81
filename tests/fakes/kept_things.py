"""In-memory fake of what carries the tags of clusters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.cluster.names import TAG_CONTROL_PLANE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.kept.discovery import KeptSnapshot, Tagged


@dataclass
class FakeKeptThings:
    """Resources and snapshots of an account; ``keys`` has states of keys that differ."""

    resources: list[Tagged] = field(default_factory=list)
    taken: list[KeptSnapshot] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)

    def tagged(self, control_stack: str) -> Sequence[Tagged]:
        """Resources with the control plane's tag."""
        return [one for one in self.resources if one.tags.get(TAG_CONTROL_PLANE) == control_stack]

    def snapshots(self, control_stack: str) -> Sequence[KeptSnapshot]:
        """Snapshots with it."""
        return [one for one in self.taken if one.tags.get(TAG_CONTROL_PLANE) == control_stack]

    def key_state(self, key: str) -> str:
        """State of a key."""
        return self.keys.get(key, "Enabled")
