"""Ports of this room: buckets with backups, and what carries a cluster's tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.kept.discovery import KeptSnapshot, Tagged
    from lifecycle.kept.manifests import Manifest
    from lifecycle.kept.objects import ObjectVersion


class BackupBuckets(Protocol):
    """Buckets with the brokers' backups. Raises ``BackupsNotCopied`` for one that is gone."""

    def tags(self, bucket: str) -> Mapping[str, str]:
        """Tags of a bucket; empty where it has none."""
        ...

    def holds_anything(self, bucket: str) -> bool:
        """Whether a bucket has an object now."""
        ...

    def versions(self, bucket: str, after: str) -> Iterator[ObjectVersion]:
        """All versions and delete markers of the keys after a key, in the order of keys."""
        ...

    def sizes(self, bucket: str, after: str, last: str) -> Mapping[str, int]:
        """Bytes by key of the objects that a bucket has now, after a key up to another."""
        ...

    def read(self, bucket: str, key: str) -> bytes | None:
        """Read an object; None where there is none."""
        ...

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""
        ...

    def manifests(self, bucket: str, most: int) -> Sequence[Manifest]:
        """Manifests of so many of the newest backups. Raises ``InvalidResponse``, too."""
        ...

    def copy(self, source: str, versions: Sequence[ObjectVersion], target: str) -> None:
        """Copy versions under their keys, inside S3; the source is only read.

        Raises ``BackupsNotCopied`` for a version that is gone.
        """
        ...


class KeptThings(Protocol):
    """Resources of an account by their tags."""

    def tagged(self, control_stack: str) -> Sequence[Tagged]:
        """Resources with data that carry the control plane's tag."""
        ...

    def snapshots(self, control_stack: str) -> Sequence[KeptSnapshot]:
        """Manual snapshots of Aurora clusters that carry it."""
        ...

    def key_state(self, key: str) -> str:
        """State of a key by its ARN, as KMS returns it (``Enabled``, ``PendingDeletion`` …).

        Where it may not be read, the code of that error: what it encrypts is not readable either.
        """
        ...
