"""Node-id leases and backups, as the health check sees them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_health import Cluster, codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.component import Instance


@pytest.fixture(scope="module")
def cluster(instance: Instance) -> Cluster:
    return Cluster(instance)


@pytest.fixture(autouse=True)
def well_before_and_after(cluster: Cluster) -> Iterator[None]:
    cluster.is_well(60)
    yield
    cluster.is_well(90)


def stored(cluster: Cluster, key: str) -> dict[str, Any]:
    bucket = cluster.outputs["NodeIdBucketName"]
    answer = cluster.client("s3").get_object(Bucket=bucket, Key=key)
    return dict(json.loads(answer["Body"].read()))


def test_brokers_hold_leases_of_their_own(cluster: Cluster) -> None:
    report = cluster.check()
    assert report["verdict"] == "HEALTHY", report["text"]
    assert "NODE_ID_LEASES_NOT_IN_USE" not in {one["code"] for one in report["findings"]}
    assert len({stored(cluster, f"{node}.json")["taskId"] for node in range(3)}) == 3


def test_a_broker_that_froze_beyond_its_lease_ends_and_is_replaced(cluster: Cluster) -> None:
    (task,) = [one for one in cluster.tasks() if one["nodeId"] == 2]
    frozen = task["pids"]["orchestration-cluster"]
    os.kill(frozen, signal.SIGSTOP)
    try:
        until = stored(cluster, "2.json")["timestamp"] / 1000
        time.sleep(max(0, until - time.time()) + 1)
        cluster.found_within_two("BROKER_MISSING")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(frozen, signal.SIGCONT)
    cluster.is_well(90)
    assert all(one["taskArn"] != task["taskArn"] for one in cluster.tasks())
    assert stored(cluster, "2.json")["nodeInstance"]["version"] > 1


def test_backups_that_no_longer_happen_are_found_by_their_age(cluster: Cluster) -> None:
    s3, bucket = cluster.client("s3"), cluster.outputs["BackupBucketName"]
    found = {
        one["Key"]: json.loads(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read())
        for one in s3.list_objects_v2(Bucket=bucket, Prefix="manifests/")["Contents"]
        if one["Key"].endswith("manifest.json")
    }
    assert {one["id"]["partitionId"] for one in found.values()} == {1, 2, 3}
    old = datetime.fromtimestamp(time.time() - 5 * 3600, UTC).isoformat()
    try:
        for key, manifest in found.items():
            content = json.dumps({**manifest, "createdAt": old}).encode()
            s3.put_object(Bucket=bucket, Key=key, Body=content)
        report = cluster.found_within_two("BACKUP_OLD")
        assert report["verdict"] == "DEGRADED"
        assert "partition 1 (5 hours old)" in report["text"]
        # An Aurora that is older than an hour and younger than the backups has no time in common.
        assert {"BACKUP_OLD"} <= codes(report) <= {"BACKUP_OLD", "RESTORE_WINDOW_SHORT"}
    finally:
        for key, manifest in found.items():
            s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(manifest).encode())
