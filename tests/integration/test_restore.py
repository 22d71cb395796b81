"""A cluster that lost everything but its backup comes back with what was acknowledged before it."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.blocks import block
from tests.support.brokers import Brokers, Leases, brokers
from tests.support.cloud import eventually
from tests.support.ledger import Claims, judge
from tests.support.traffic import Traffic

pytestmark = pytest.mark.integration

BLOCK = f"{block('restore')}.100"
PARTITIONS = 3
TASKS = (0, 1, 2)


@pytest.fixture(scope="module")
def leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leases]:
    made = Leases(tmp_path_factory.mktemp("leases"), block("restore"))
    yield made
    made.close()


def worked_on(cluster: Brokers, name: str, backup_id: int = 0) -> Claims:
    """Let a client work on the cluster; give what was acknowledged, before the backup if any."""
    log, path = cluster.directory / f"{name}.jsonl", "/actuator/backupRuntime"
    addresses = [f"http://{cluster.address(task)}:8080" for task in TASKS]
    with Traffic(log, addresses) as client:
        assert client.goes_on()
        moment = time.time()
        if backup_id:
            assert cluster.ask(0, path, "POST", {"backupId": backup_id})[0] == 202
            path = f"{path}/{backup_id}"
            assert eventually(lambda: cluster.ask(0, path)[1].get("state") == "COMPLETED", 20)
            assert client.goes_on(), "what was held is delivered"
    return Claims.read(log, moment)


def created(cluster: Brokers, value: str) -> int:
    body = {"processDefinitionId": "traffic", "businessId": value}
    status, answer = cluster.ask(0, "/v2/process-instances", "POST", body, 8080)
    assert status == 200, answer
    return int(answer["processInstanceKey"])


def cancelled(cluster: Brokers, key: int) -> int:
    return cluster.ask(0, f"/v2/process-instances/{key}/cancellation", "POST", {}, 8080)[0]


def settled(cluster: Brokers, *clients: Claims) -> None:
    """Judge by the files of brokers that are stopped in good order."""
    for task in list(cluster.tasks):
        cluster.kill(task, signal.SIGTERM)
    for claims in clients:
        found = judge(claims, cluster.directory / "data")
        assert found.good, found
        assert claims.counts().keys() == {"create", "complete", "publish"}


def test_restore_by_processes_before_the_brokers(tmp_path: Path, leases: Leases) -> None:
    with brokers(tmp_path, BLOCK, leases, partitions=PARTITIONS) as cluster:
        before = worked_on(cluster, "before", backup_id=7)
        lost = created(cluster, "lost")
        for task in TASKS:
            cluster.kill(task, signal.SIGTERM)

        shutil.rmtree(tmp_path / "data")
        empty(leases.client(), cluster.lease_bucket)
        for task in TASKS:
            cluster.start(task, restore=["--backupId=7"])
        assert [cluster.ended(task) for task in TASKS] == [0, 0, 0], cluster.log(0)
        for task in TASKS:
            assert "Successfully restored broker from backup 7" in cluster.log(task)

        for task in TASKS:
            cluster.start(task)
        assert eventually(lambda: cluster.ready(*TASKS), 40), cluster.log(0)
        assert cancelled(cluster, lost) == 404
        after = worked_on(cluster, "after")
        settled(cluster, before, after)


def empty(s3: Any, bucket: str) -> None:
    for one in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=one["Key"])
