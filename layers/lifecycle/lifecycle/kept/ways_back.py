"""Whether a cluster could be made again after its teardown, as far as its backups go now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.names import TAG_CLUSTER
from lifecycle.errors import LifecycleError
from lifecycle.kept.discovery import BACKUP_BUCKET, KeptThing, Left, WayBack, way_back
from lifecycle.kept.manifests import stored_backups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.cluster.lifetimes import PresentDatabase
    from lifecycle.kept.manifests import StoredBackup
    from lifecycle.kept.ports import BackupBuckets, KeptThings

# Of the newest: what came before them has the same bucket, and the API responds within seconds.
MOST_BACKUPS: Final = 20


@dataclass(frozen=True, slots=True)
class WaysBack:
    """The use case and its ports.

    ``translate`` makes one of our errors of one that an AWS client raised, None of any other.
    """

    things: KeptThings
    buckets: BackupBuckets
    translate: Callable[[Exception], LifecycleError | None]
    control_stack: str

    def of(self, cluster: str, bucket: str, present: PresentDatabase) -> Mapping[str, Any]:
        """Judge a cluster that has a stack, by its ``bucket`` with backups and its snapshots.

        Returns ``restorable`` (None where there is no way back) and ``why``. A final snapshot is
        not counted: it is newer than every backup.
        """
        snapshots = tuple(
            one
            for one in self.things.snapshots(self.control_stack)
            if one.tags.get(TAG_CLUSTER) == cluster
        )
        left = Left(cluster, (KeptThing(BACKUP_BUCKET, bucket, ""),) if bucket else (), snapshots)
        judged, _, unread = self.judge(left, present)
        return {"restorable": judged.as_document(), "why": words(judged, unread)}

    def judge(
        self, left: Left, present: PresentDatabase | None = None
    ) -> tuple[WayBack, Mapping[str, list[StoredBackup]], str]:
        """Return the way back, the newest backups by bucket, and what could not be read."""
        backups: dict[str, list[StoredBackup]] = {}
        unread = ""
        for bucket in left.backup_buckets:
            try:
                backups[bucket] = stored_backups(self.buckets.manifests(bucket, MOST_BACKUPS))
            except Exception as error:
                known = error if isinstance(error, LifecycleError) else self.translate(error)
                if known is None:
                    raise
                # One bucket that cannot be read shows nothing about another.
                unread = known.message.rstrip(".")
        keys = {
            one: self.things.key_state(one)
            for one in {one.key for one in left.snapshots if one.key}
        }
        return way_back(left, backups, keys, present), backups, unread


def words(judged: WayBack, unread: str) -> str:
    """Return why there is no way back, and what could not be read."""
    return "; ".join(one for one in (judged.why, unread) if one)
