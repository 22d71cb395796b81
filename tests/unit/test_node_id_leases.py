"""Which node ids a broker may take, from the objects that Camunda keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import s3
from lifecycle.adapters.aws.s3 import S3NodeIdLeases
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "leases"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with mock_aws():
        api = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        api.create_bucket(Bucket=BUCKET)
        monkeypatch.setattr(s3, "client", lambda _name: api)
        yield api


def lease(api: Any, node: int, **metadata: str) -> None:
    api.put_object(Bucket=BUCKET, Key=f"{node}.json", Body=b"{}", Metadata=metadata)


def test_before_the_first_start_there_is_none(bucket: Any) -> None:
    assert S3NodeIdLeases().acquirable(BUCKET) == 0


def test_what_a_removed_broker_leaves_is_not_counted(bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="node-ids-initialized", Body=b"")
    for node in range(3):
        lease(bucket, node, acquirable="true")
    for node in (3, 4):
        lease(bucket, node, acquirable="false")
    assert S3NodeIdLeases().acquirable(BUCKET) == 3


def test_a_lease_of_a_version_that_does_not_say_counts(bucket: Any) -> None:
    lease(bucket, 0)
    lease(bucket, 1, version="4")
    assert S3NodeIdLeases().acquirable(BUCKET) == 2
