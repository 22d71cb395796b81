"""What RDS answers to a restore: what is there, what it takes later, and what it takes never."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from lifecycle.adapters.aws.restored_databases import RdsRestoredDatabases
from lifecycle.cluster.names import TAG_GENERATION
from lifecycle.errors import AwsUnavailable, RestoreRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
OURS = [
    {"Key": "camunda:control-plane", "Value": "control"},
    {"Key": "camunda:cluster", "Value": "demo"},
]


@pytest.fixture
def rds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    api = boto3.client(
        "rds", "eu-central-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    monkeypatch.setattr(
        "lifecycle.adapters.aws.restored_databases.client", lambda *_, **__: api, raising=True
    )
    with Stubber(api) as stub:
        yield stub
        stub.assert_no_pending_responses()


def take() -> None:
    RdsRestoredDatabases("control").take("snapshot", of="copy", tags={})


@pytest.mark.parametrize(
    "code",
    [
        "SnapshotQuotaExceeded",
        "StorageQuotaExceeded",
        "DBClusterParameterGroupNotFound",
        "DBClusterQuotaExceededFault",
        "DBClusterNotFoundFault",
        "KMSKeyNotAccessibleFault",
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "InvalidSubnet",
    ],
)
def test_what_rds_takes_never_is_refused_with_its_words(rds: Stubber, code: str) -> None:
    rds.add_client_error("create_db_cluster_snapshot", code, "because of that")
    with pytest.raises(RestoreRefused, match=f"{code}, because of that"):
        take()


def test_what_is_there_already_is_left(rds: Stubber) -> None:
    rds.add_client_error("create_db_cluster_snapshot", "DBClusterSnapshotAlreadyExistsFault")
    take()


def test_what_rds_takes_later_is_repeated(rds: Stubber) -> None:
    rds.add_client_error("create_db_cluster_snapshot", "InvalidDBClusterStateFault")
    with pytest.raises(AwsUnavailable):
        take()


@pytest.mark.parametrize("code", ["Throttling", "AccessDenied", "InternalFailure"])
def test_anything_else_is_raised_as_it_is(rds: Stubber, code: str) -> None:
    rds.add_client_error("create_db_cluster_snapshot", code)
    with pytest.raises(ClientError):
        take()


def test_windows_and_snapshots_have_their_keys_and_the_number_of_the_data(rds: Stubber) -> None:
    rds.add_response(
        "describe_db_clusters",
        {
            "DBClusters": [
                {
                    "DBClusterIdentifier": "demo",
                    "EarliestRestorableTime": AT,
                    "LatestRestorableTime": AT,
                    "KmsKeyId": "arn:one",
                    "TagList": [*OURS, {"Key": TAG_GENERATION, "Value": "2"}],
                }
            ]
        },
    )
    rds.add_response(
        "describe_db_cluster_snapshots",
        {
            "DBClusterSnapshots": [
                {
                    "DBClusterSnapshotIdentifier": "pair",
                    "SnapshotCreateTime": AT,
                    "Status": "available",
                    "KmsKeyId": "arn:two",
                    "TagList": [*OURS, {"Key": TAG_GENERATION, "Value": "1"}],
                }
            ]
        },
    )
    found = RdsRestoredDatabases("control").found("demo")
    assert [one.key for one in found.windows] == ["arn:one"]
    assert [one.key for one in found.snapshots] == ["arn:two"]
    assert [one.generation for one in found.windows] == [2]
    assert [one.generation for one in found.snapshots] == [1]
