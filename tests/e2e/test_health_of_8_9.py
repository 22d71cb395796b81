"""What only 8.9 has, node-id leases and backups, seen by the health check.

No release of 8.9 can be fetched here: fake brokers tell of backups as 8.9 does, and the leases in
the bucket are written by the test as 8.9's node-id provider writes them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from local.fake_broker.state import SharedCluster
from tests.e2e.test_health import Cluster, codes

if TYPE_CHECKING:
    from lifecycle.adapters.management_simulation import SimulatedCluster

    from local.component import Instance


class Leases:
    """The node-id provider's objects in its bucket."""

    def __init__(self, cluster: Cluster) -> None:
        self._s3 = cluster.client("s3")
        self._bucket = cluster.outputs["NodeIdBucketName"]
        self._keys = {"node-ids-initialized"}

    def write(self, tasks: dict[int, str], seconds: float = 15) -> None:
        """Write the marker and a lease of each node, which ends in so many seconds."""
        self._s3.put_object(Bucket=self._bucket, Key="node-ids-initialized", Body=b"")
        until = int((time.time() + seconds) * 1000)
        for node, task in tasks.items():
            key = f"{node}.json"
            body = {"taskId": task, "timestamp": until, "nodeInstance": {"id": node}}
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=json.dumps(body).encode())
            self._keys.add(key)

    def clear(self) -> None:
        for key in self._keys:
            self._s3.delete_object(Bucket=self._bucket, Key=key)


@pytest.fixture(scope="module")
def cluster(instance: Instance) -> Cluster:
    return Cluster(instance)


@pytest.fixture
def leases(cluster: Cluster) -> Iterator[Leases]:
    found = Leases(cluster)
    yield found
    found.clear()


@pytest.fixture(autouse=True)
def well_before_and_after(cluster: Cluster) -> Iterator[None]:
    cluster.is_well(60)
    yield
    cluster.is_well(60)


def notes(report: dict[str, Any]) -> set[str]:
    return {one["code"] for one in report["findings"] if one["severity"] == "NOTE"}


def test_fresh_leases_of_different_tasks_are_well(cluster: Cluster, leases: Leases) -> None:
    assert "LEASES_UNUSED" in notes(cluster.check())
    leases.write({0: "task-a", 1: "task-b", 2: "task-c"})
    report = cluster.check()
    assert report["verdict"] == "HEALTHY", report["text"]
    assert "LEASES_UNUSED" not in notes(report)


def test_a_lease_that_nobody_renews_is_found_and_gone_when_renewed(
    cluster: Cluster, leases: Leases
) -> None:
    leases.write({0: "task-a", 1: "task-b"})
    leases.write({2: "task-c"}, seconds=-60)
    report = cluster.found_within_two("LEASE_STALE")
    assert report["verdict"] == "DEGRADED"
    assert "broker 2" in report["text"]
    leases.write({2: "task-c"})
    assert "LEASE_STALE" not in codes(cluster.check())


def test_one_task_with_two_node_ids_is_found(cluster: Cluster, leases: Leases) -> None:
    leases.write({0: "task-a", 1: "task-b", 2: "task-b"})
    report = cluster.found_within_two("LEASE_SHARED")
    assert "node ids 1, 2" in report["text"]


def test_a_lease_that_cannot_be_read_is_unknown_and_hides_nothing(
    cluster: Cluster, leases: Leases
) -> None:
    leases.write({0: "task-a", 1: "task-b", 2: "task-c"})
    cluster.client("s3").put_object(
        Bucket=cluster.outputs["NodeIdBucketName"], Key="1.json", Body=b'{"taskId": '
    )
    report = cluster.found_within_two("SOURCE_UNKNOWN")
    assert report["verdict"] == "DEGRADED"
    assert "1.json" in report["text"]
    assert codes(report) == {"SOURCE_UNKNOWN"}


def test_backups_that_no_longer_happen_are_found_by_their_age(cluster: Cluster) -> None:
    def stop_backups(since: float | None) -> None:
        (found,) = cluster.config.root.rglob(f"efs/{cluster.outputs['FileSystemId']}/fake-cluster")
        with SharedCluster(found, _no_new_cluster).open() as simulated:
            simulated.backups_end = since

    stop_backups(time.time() - 5 * 3600)
    try:
        report = cluster.found_within_two("BACKUP_OLD")
        assert report["verdict"] == "DEGRADED"
        assert "partition 1 (5 hours old)" in report["text"]
    finally:
        stop_backups(None)


def _no_new_cluster() -> SimulatedCluster:
    raise AssertionError("the running cluster has a state")
