"""What RDS shows of snapshots, against its model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from lifecycle.adapters.aws import rds as adapter
from lifecycle.adapters.aws.rds import RdsBackups

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2026, 3, 1, 10, tzinfo=UTC)
MADE = datetime(2026, 1, 1, tzinfo=UTC)
OURS = {"camunda:control-plane": "control", "camunda:cluster": "demo"}


@pytest.fixture
def rds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    api: Any = boto3.client(
        "rds", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    monkeypatch.setattr(adapter, "client", lambda _: api)
    with Stubber(api) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_a_snapshot_has_when_its_database_was_created_which_is_not_when_it_was_taken(
    rds: Stubber,
) -> None:
    tags = [{"Key": key, "Value": value} for key, value in OURS.items()]
    earlier = {
        "DBClusterSnapshotIdentifier": "earlier",
        "SnapshotType": "manual",
        "SnapshotCreateTime": AT,
        "ClusterCreateTime": MADE,
        "Status": "available",
        "TagList": tags,
    }
    unknown = {key: earlier[key] for key in earlier if key != "ClusterCreateTime"}
    rds.add_response("describe_db_clusters", {"DBClusters": []})
    rds.add_response("describe_db_cluster_snapshots", {"DBClusterSnapshots": []})
    rds.add_response(
        "describe_db_cluster_snapshots",
        {
            "DBClusterSnapshots": [
                earlier,
                {**unknown, "DBClusterSnapshotIdentifier": "unknown"},
            ]
        },
    )
    seen = RdsBackups().look("present", OURS).snapshots
    assert {one.name: one.created for one in seen} == {"earlier": MADE, "unknown": None}
