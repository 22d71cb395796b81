"""Read what clusters without a stack have left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.names import TAG_CLUSTER
from lifecycle.errors import ClusterNotFound
from lifecycle.kept.discovery import Left, as_line, as_lines, left_behind
from lifecycle.kept.ways_back import words

if TYPE_CHECKING:
    from lifecycle.cluster.ports import ClusterStacks
    from lifecycle.kept.ways_back import WaysBack


@dataclass(frozen=True, slots=True)
class KeptReader:
    """The use case and its ports."""

    ways: WaysBack
    stacks: ClusterStacks
    control_stack: str

    def all(self) -> list[dict[str, Any]]:
        """Return what each cluster has left; no bucket is read."""
        return [as_line(one) for one in self._left()]

    def of(self, cluster: str) -> dict[str, Any]:
        """Return what one cluster has left, with its ``backups`` and ``restorable``.

        ``why`` is why there is no way back; empty where there is one. Raises ``ClusterNotFound``
        for a cluster that has left nothing, or that has a stack.
        """
        left = next((one for one in self._left() if one.cluster == cluster), None)
        if left is None:
            raise ClusterNotFound(
                f"No cluster {cluster} that has been torn down left anything in "
                f"{self.control_stack}.",
                next_step="List what is left (GET /kept) and check the name.",
            )
        judged, backups, unread = self.ways.judge(left)
        return {
            **as_line(left),
            "backups": [
                {"bucket": bucket, **one}
                for bucket, found in backups.items()
                for one in as_lines(found)
            ],
            "restorable": judged.as_document(),
            "why": words(judged, unread),
        }

    def _left(self) -> list[Left]:
        living = [
            stack.tags.get(TAG_CLUSTER, "")
            for stack in self.stacks.of_control_plane(self.control_stack)
        ]
        things = self.ways.things
        return left_behind(
            things.tagged(self.control_stack), things.snapshots(self.control_stack), living
        )
