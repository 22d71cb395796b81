"""Backups read from their bucket, as Camunda's brokers write them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.backup_buckets import S3BackupBuckets
from lifecycle.errors import BackupsNotCopied, InvalidResponse
from lifecycle.kept.manifests import newest_keys, read_manifest, stored_backups
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator


def document(
    partition: int,
    backup: int = 100,
    node: int = 0,
    *,
    state: str = "completed",
    partitions: int = 3,
    version: str = "8.9.16",
) -> dict[str, Any]:
    """A manifest in the shape of ``CompletedBackupManifest``, with the state as S3 has it."""
    return {
        "statusCode": state,
        "id": {"nodeId": node, "partitionId": partition, "checkpointId": backup},
        "descriptor": {
            "snapshotId": "7-1-7-7",
            "numberOfPartitions": partitions,
            "checkpointPosition": 7,
            "brokerVersion": version,
            "checkpointTimestamp": "2026-01-01T12:00:00Z",
            "checkpointType": "SCHEDULED_BACKUP",
        },
        "createdAt": f"2026-01-01T12:00:0{partition}Z",
        "modifiedAt": "2026-01-01T12:01:00Z",
    }


def key(partition: int, backup: int = 100, node: int = 0) -> str:
    return f"manifests/{partition}/{backup}/{node}/manifest.json"


def judged(*documents: dict[str, Any]) -> list[tuple[int, str, str]]:
    found = stored_backups(map(read_manifest, documents))
    return [(one.id, one.state, one.why) for one in found]


def test_a_backup_is_complete_when_each_partition_is() -> None:
    (one,) = stored_backups(read_manifest(document(number)) for number in (1, 2, 3))
    assert one.complete
    assert (one.id, one.partitions, one.version) == (100, 3, "8.9.16")
    assert (one.at, one.kind, one.why) == ("2026-01-01T12:00:03Z", "SCHEDULED_BACKUP", "")
    assert one.checkpoint == "2026-01-01T12:00:00Z"


def test_a_partition_that_another_broker_completed_is_complete() -> None:
    documents = [document(1, partitions=1, state="failed"), document(1, partitions=1, node=1)]
    assert judged(*documents) == [(100, "COMPLETED", "")]


@pytest.mark.parametrize(
    ("documents", "state", "why"),
    [
        ([document(1), document(2)], "INCOMPLETE", "partition 3 is missing"),
        (
            [document(1), document(2, state="failed"), document(3)],
            "FAILED",
            "partition 2 is FAILED",
        ),
        (
            [document(1), document(2, state="in_progress"), document(3)],
            "IN_PROGRESS",
            "partition 2 is IN_PROGRESS",
        ),
        (
            [document(1, partitions=1, state="deleted")],
            "DELETED",
            "partition 1 is DELETED",
        ),
    ],
)
def test_what_is_not_complete_is_named(
    documents: list[dict[str, Any]], state: str, why: str
) -> None:
    assert judged(*documents) == [(100, state, why)]


def test_without_the_number_of_partitions_nothing_is_complete() -> None:
    """A partition could be missing."""
    one = document(1)
    one["descriptor"] = None
    assert judged(one) == [(100, "INCOMPLETE", "no manifest has the number of partitions")]


def test_the_newest_backup_comes_first() -> None:
    documents = [document(1, number, partitions=1) for number in (100, 1000, 99)]
    assert [one[0] for one in judged(*documents)] == [1000, 100, 99]


def test_only_the_newest_backups_are_read() -> None:
    keys = [key(1, 99), key(1, 100), key(2, 100), key(1, 1000), "ranges/1/99-start", "manifests/x"]
    assert newest_keys(keys, 2) == [key(1, 100), key(2, 100), key(1, 1000)]


@pytest.mark.parametrize("found", [None, [], {}, {"id": {}}, {"id": 1, "statusCode": "COMPLETED"}])
def test_what_is_no_manifest_is_refused(found: object) -> None:
    with pytest.raises(InvalidResponse, match="manifest that cannot be read"):
        read_manifest(found)


@pytest.fixture
def s3() -> Iterator[Any]:
    aws.client.cache_clear()
    with mock_aws():
        api = boto3.client("s3", region_name="us-east-1")
        api.create_bucket(Bucket="backups")
        yield api
    aws.client.cache_clear()


def test_a_bucket_is_read(s3: Any) -> None:
    for partition in (1, 2):
        s3.put_object(
            Bucket="backups",
            Key=key(partition),
            Body=json.dumps(document(partition, partitions=2)).encode(),
        )
    s3.put_object(Bucket="backups", Key="contents/1/100/0/segments/a", Body=b"x")
    found = stored_backups(S3BackupBuckets().manifests("backups", 10))
    assert [(one.id, one.state) for one in found] == [(100, "COMPLETED")]
    with pytest.raises(BackupsNotCopied, match="bucket nowhere"):
        S3BackupBuckets().manifests("nowhere", 10)
