"""In-memory fake of versioned buckets with backups."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lifecycle.errors import BackupsNotCopied
from lifecycle.kept.manifests import newest_keys, read_manifest
from lifecycle.kept.objects import ObjectVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lifecycle.kept.manifests import Manifest


@dataclass
class FakeBackupBuckets:
    """Versions by bucket and key; ``now`` gives the time of what is written."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    tagged: dict[str, dict[str, str]] = field(default_factory=dict)
    held: dict[str, dict[str, list[tuple[ObjectVersion, bytes]]]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    before_copy: Callable[[], None] = lambda: None
    _count: int = 0

    def tags(self, bucket: str) -> Mapping[str, str]:
        """Tags of a bucket."""
        if bucket not in self.tagged:
            raise BackupsNotCopied(f"S3 has no bucket {bucket}: it was deleted.")
        return self.tagged[bucket]

    def holds_anything(self, bucket: str) -> bool:
        """Whether a bucket has an object now."""
        return bool(self.contents(bucket))

    def versions(self, bucket: str, after: str) -> Iterator[ObjectVersion]:
        """All versions after a key."""
        for key in sorted(self.held.get(bucket, {})):
            if key > after:
                newest = self.held[bucket][key][-1][0]
                for one, _ in reversed(self.held[bucket][key]):
                    yield ObjectVersion(
                        one.key, one.version, one.size, one.modified, one is newest, one.deleted
                    )

    def sizes(self, bucket: str, after: str, last: str) -> Mapping[str, int]:
        """Bytes of the objects in a range of keys."""
        return {
            key: len(content)
            for key, content in self.contents(bucket).items()
            if after < key <= last
        }

    def read(self, bucket: str, key: str) -> bytes | None:
        """Read an object."""
        return self.contents(bucket).get(key)

    def write(self, bucket: str, key: str, content: bytes, *, deleted: bool = False) -> None:
        """Write an object."""
        self._count += 1
        version = ObjectVersion(
            key, f"v{self._count}", len(content), self._second(), deleted=deleted
        )
        self.held.setdefault(bucket, {}).setdefault(key, []).append((version, content))
        self.writes.append(bucket)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object: a marker hides it."""
        self.write(bucket, key, b"", deleted=True)

    def manifests(self, bucket: str, most: int) -> Sequence[Manifest]:
        """Manifests of the newest backups."""
        keys = newest_keys(self.contents(bucket), most)
        return [read_manifest(json.loads(self.contents(bucket)[one])) for one in keys]

    def copy(self, source: str, versions: Sequence[ObjectVersion], target: str) -> None:
        """Copy versions."""
        self.before_copy()
        for one in versions:
            found = [c for v, c in self.held[source].get(one.key, []) if v.version == one.version]
            if not found:
                raise BackupsNotCopied(f"S3 has no object {one.key} of bucket {source}.")
            self.write(target, one.key, found[0])

    def contents(self, bucket: str) -> dict[str, bytes]:
        """What a bucket shows now."""
        return {
            key: versions[-1][1]
            for key, versions in self.held.get(bucket, {}).items()
            if not versions[-1][0].deleted
        }

    def _second(self) -> datetime:
        return self.now().replace(microsecond=0)
