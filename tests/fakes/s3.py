"""In-memory fake of the artifact bucket."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.operation.record import Stored

if TYPE_CHECKING:
    from datetime import timedelta


@dataclass
class FakeArtifacts:
    """Objects by key."""

    objects: dict[str, bytes] = field(default_factory=dict)
    versions: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def put(self, key: str, body: bytes, content_type: str) -> Stored:
        """Store an object."""
        del content_type
        self.objects[key] = body
        stored = Stored(key, f"v{len(self.versions)}", hashlib.sha256(body).hexdigest())
        self.versions[key, stored.version] = body
        return stored

    def get(self, key: str, version: str) -> bytes | None:
        """Read a version of an object."""
        return self.versions.get((key, version))

    def url(self, stored: Stored) -> str:
        """Address of a version of an object."""
        address = f"https://artifacts.s3.eu-central-1.amazonaws.com/{stored.key}"
        return f"{address}?versionId={stored.version}"

    def link(self, stored: Stored, lasts: timedelta) -> str:
        """Link that reads a version for so long."""
        return f"{self.url(stored)}&X-Amz-Expires={int(lasts.total_seconds())}"


@dataclass
class FakeLeases:
    """Number of node ids that may be taken, by bucket."""

    by_bucket: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, int] = field(default_factory=dict)
    """How many nodes the restore application has restored, by bucket."""

    def restored(self, bucket: str) -> int:
        """How many nodes have been restored."""
        return self.nodes.get(bucket, 0)

    def acquirable(self, bucket: str) -> int:
        """Number of node ids that a broker may take."""
        return self.by_bucket.get(bucket, 0)
