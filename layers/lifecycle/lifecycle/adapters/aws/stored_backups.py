"""Backups of the brokers that a bucket holds, for a restore. Source: Amazon S3's API reference."""

from __future__ import annotations

import bisect
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lifecycle.adapters.aws.backup_buckets import S3BackupBuckets
from lifecycle.adapters.aws.session import client
from lifecycle.errors import InvalidResponse
from lifecycle.kept.manifests import KEY, PREFIX, StoredBackup, read_manifest, stored_backups
from lifecycle.restore.facts import Checkpoint
from lifecycle.services.images import read_version

if TYPE_CHECKING:
    from collections.abc import Sequence

_AT_ONCE: Final = 16


class S3StoredBackups:
    """The ``StoredBackups`` port on S3."""

    def list(
        self, bucket: str, *, until: datetime, backup: int | None, most: int
    ) -> Sequence[Checkpoint]:
        """Read the manifests of the newest backups, the oldest first.

        All keys are listed, a page for each thousand. Where that is more than ``most`` backups,
        those until then are found by the times in their manifests, of which a search by halves
        reads a few: what S3 shows as modified is the time of the copy where the bucket is one.
        """
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
        found: dict[int, list[str]] = {}
        written: dict[int, datetime] = {}
        for one in (one for page in pages for one in page.get("Contents", ())):
            match = KEY.fullmatch(one["Key"])
            if match:
                number = int(match[2])
                found.setdefault(number, []).append(one["Key"])
                at = one["LastModified"]
                written[number] = min(at, written.get(number, at))
        listed = sorted(found)
        if len(listed) > most:
            end = bisect.bisect_right(
                listed, until, key=lambda one: _at(bucket, found[one]) or written[one]
            )
            listed = listed[max(0, end - most) : end]
        chosen = {*listed, *([backup] if backup in found else [])}
        keys = [key for number in sorted(chosen) for key in found[number]]
        return [as_checkpoint(one) for one in reversed(_read(bucket, keys))]


def _read(bucket: str, keys: Sequence[str]) -> Sequence[StoredBackup]:
    reader = S3BackupBuckets()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        texts = list(pool.map(lambda key: reader.read(bucket, key), keys))
    return stored_backups(read_manifest(json.loads(text)) for text in texts if text is not None)


def _at(bucket: str, keys: Sequence[str]) -> datetime | None:
    """Return the time of a backup's checkpoint, None where its manifests do not have it."""
    try:
        (one,) = _read(bucket, keys)
        return datetime.fromisoformat(one.checkpoint).astimezone(UTC)
    except (InvalidResponse, ValueError):
        # Written by something else, or deleted meanwhile.
        return None


def as_checkpoint(one: StoredBackup) -> Checkpoint:
    """Return a backup as a restore chooses it; without a time it cannot be restored."""
    try:
        at = datetime.fromisoformat(one.checkpoint).astimezone(UTC)
        lacks = "" if one.complete else one.why or f"it is {one.state}"
    except ValueError:
        at, lacks = datetime.min.replace(tzinfo=UTC), "no manifest has the time of its checkpoint"
    return Checkpoint(
        backup=one.id,
        at=at,
        partitions=one.partitions,
        version=read_version(one.version),
        lacks=lacks,
    )
