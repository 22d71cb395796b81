"""In-memory fake of the artifact bucket."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class FakeArtifacts:
    """Objects by key."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store an object."""
        del content_type
        self.objects[key] = body

    def get(self, key: str) -> bytes | None:
        """Read an object."""
        return self.objects.get(key)

    def url(self, key: str) -> str:
        """Address of an object."""
        return f"https://artifacts.s3.eu-central-1.amazonaws.com/{key}"


@dataclass
class FakeLeases:
    """Number of node ids that may be taken, by bucket."""

    by_bucket: dict[str, int] = field(default_factory=dict)

    def acquirable(self, bucket: str) -> int:
        """Number of node ids that a broker may take."""
        return self.by_bucket.get(bucket, 0)
