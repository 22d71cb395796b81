"""Backups of a bucket until a moment. S3's own times, here of now, are later than all of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.backup_buckets import S3BackupBuckets
from lifecycle.adapters.aws.stored_backups import S3StoredBackups
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BUCKET = "copied"


@pytest.fixture
def s3() -> Iterator[Any]:
    aws.client.cache_clear()
    with mock_aws():
        api = boto3.client("s3", region_name="us-east-1")
        api.create_bucket(Bucket=BUCKET)
        yield api
    aws.client.cache_clear()


def put(s3: Any, backup: int, **changed: object) -> None:
    """Write the manifests of a backup of two partitions, so many hours after the first one."""
    at = (FIRST + backup * HOUR).isoformat()
    for partition in (1, 2):
        manifest = {
            "id": {"checkpointId": backup, "partitionId": partition, "nodeId": 0},
            "statusCode": "COMPLETED",
            "createdAt": at,
            "descriptor": {
                "numberOfPartitions": 2,
                "brokerVersion": "8.9.16",
                "checkpointTimestamp": at,
            },
            **changed,
        }
        s3.put_object(
            Bucket=BUCKET,
            Key=f"manifests/{partition}/{backup}/0/manifest.json",
            Body=json.dumps(manifest).encode(),
        )


def listed(until: datetime, most: int = 3, backup: int | None = None) -> list[int]:
    found = S3StoredBackups().list(BUCKET, until=until, backup=backup, most=most)
    return [one.backup for one in found]


def test_all_are_read_where_there_are_few_whenever_s3_got_them(s3: Any) -> None:
    for backup in range(1, 4):
        put(s3, backup)
    assert listed(FIRST + 2 * HOUR) == [1, 2, 3]


@pytest.mark.parametrize(
    ("hours", "found"),
    [
        (0.5, []),
        (1, [1]),
        (2.5, [1, 2]),
        (17, [15, 16, 17]),
        (17.9, [15, 16, 17]),
        (40, [38, 39, 40]),
        (99, [38, 39, 40]),
    ],
)
def test_of_many_the_newest_before_the_moment_are_read(
    s3: Any, hours: float, found: list[int]
) -> None:
    for backup in range(1, 41):
        put(s3, backup)
    assert listed(FIRST + hours * HOUR) == found


def test_one_that_is_named_is_read_as_well(s3: Any) -> None:
    for backup in range(1, 41):
        put(s3, backup)
    assert listed(FIRST + 17 * HOUR, backup=30) == [15, 16, 17, 30]
    assert listed(FIRST + 17 * HOUR, backup=77) == [15, 16, 17]


def test_few_objects_are_read_of_many(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for backup in range(1, 129):
        put(s3, backup)
    read: list[str] = []
    own = S3BackupBuckets.read

    def counted(self: S3BackupBuckets, bucket: str, key: str) -> bytes | None:
        read.append(key)
        return own(self, bucket, key)

    monkeypatch.setattr(S3BackupBuckets, "read", counted)
    assert listed(FIRST + 50 * HOUR) == [48, 49, 50]
    # Two partitions of each: those that are returned, and a search among 128.
    assert len(read) <= 2 * (3 + 8)


def test_where_manifests_have_no_time_that_of_s3_counts(s3: Any) -> None:
    for backup in range(1, 9):
        put(s3, backup, createdAt="", descriptor={})
    assert listed(FIRST + 99 * HOUR) == []
    assert listed(datetime.now(UTC) + HOUR) == [6, 7, 8]


def test_a_manifest_that_cannot_be_read_counts_as_of_s3s_time(s3: Any) -> None:
    for backup in range(1, 41):
        put(s3, backup)
    # In the middle, where a search looks first; it is not among those that are returned.
    for backup in (20, 21):
        put(s3, backup, statusCode=None, id={})
    assert listed(FIRST + 10 * HOUR) == [8, 9, 10]
