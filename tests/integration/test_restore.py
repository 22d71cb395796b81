"""A cluster that lost everything but its backup comes back with what was acknowledged before it."""

from __future__ import annotations

import json
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.blocks import block
from tests.support.brokers import Brokers, Leases, brokers
from tests.support.cloud import eventually
from tests.support.ledger import Claims, judge
from tests.support.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
        assert_they_fit(leases.client(), cluster.backup_bucket, 7)
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


def test_restore_in_place(tmp_path: Path, leases: Leases) -> None:
    with brokers(tmp_path, BLOCK, leases, version="8.10.0", partitions=PARTITIONS) as cluster:
        before = worked_on(cluster, "before", backup_id=7)
        lost = created(cluster, "lost")
        exporters_and_exporting(cluster)
        body = {"backupIds": [7]}
        assert cluster.ask(0, "/v2/restore", "POST", body, 8080)[0] == 409

        status, answer = cluster.ask(1, "/v2/mode?mode=RECOVERING", "PATCH", None, 8080)
        assert status == 200, answer
        assert eventually(lambda: partitions(cluster) == {("inactive", "recovering")}, 20)
        assert eventually(lambda: "pendingChange" not in cluster.ask(0, "/actuator/cluster")[1], 20)
        assert cluster.ask(0, "/v2/status", port=8080)[0] == 503
        assert cluster.ask(0, "/v2/restore", port=8080)[0] == 404
        # A broker that starts again meanwhile starts no partition.
        cluster.kill(2)
        cluster.start(2)
        plan = "/v2/restore?dryRun=true"
        assert eventually(lambda: cluster.ask(1, plan, "POST", body, 8080)[0] == 202, 30)

        for wrong, why in (({"backupIds": [9]}, "9: it does not exist"), ({"to": "x"}, "by to")):
            answer = cluster.ask(0, "/v2/restore", "POST", wrong, 8080)[1]
            assert why in answer["detail"]
        status, planned = cluster.ask(1, plan, "POST", body, 8080)
        assert status == 202, planned
        status, accepted = cluster.ask(1, "/v2/restore", "POST", body, 8080)
        assert accepted == planned
        (group,) = accepted["plannedChanges"]
        assert group["operations"][9] == {
            "operation": "PartitionRestoreOperation",
            "brokerId": "0",
            "partitionId": 1,
            "backupIds": [7],
        }
        status, running = cluster.ask(1, "/v2/restore", port=8080)
        assert status == 404 or running["changeId"] == accepted["changeId"]
        assert eventually(lambda: last_change(cluster) == (accepted["changeId"], "COMPLETED"), 40)
        assert eventually(lambda: cluster.ready(*TASKS), 20)
        assert cluster.ask(0, "/v2/restore", port=8080)[0] == 404
        assert partitions(cluster) == {("leader", "active"), ("follower", "active")}
        assert cancelled(cluster, lost) == 404
        after = worked_on(cluster, "after")
        settled(cluster, before, after)


def exporters_and_exporting(cluster: Brokers) -> None:
    path = "/actuator/exporters/rdbms"
    change = cluster.change(0, "POST", f"{path}/disable", None)
    assert change["status"] == "COMPLETED"
    listed = [{"exporterId": "rdbms", "status": "DISABLED"}]
    assert cluster.ask(1, "/actuator/exporters") == (200, listed)
    cluster.change(0, "POST", f"{path}/enable", None)
    assert cluster.ask(0, path, "DELETE")[0] == 400

    for verb, phase in (("pause", "PAUSED"), ("resume", "EXPORTING")):
        before = int(last_change(cluster)[0])
        assert cluster.ask(1, f"/actuator/exporting/{verb}", "POST") == (200, {"status": 204})
        told = [cluster.ask(task, "/actuator/partitions")[1] for task in TASKS]
        assert {one["exporterPhase"] for each in told for one in each.values()} == {phase}
        assert int(last_change(cluster)[0]) > before


def last_change(cluster: Brokers) -> tuple[str, str]:
    last = cluster.ask(0, "/actuator/cluster")[1]["lastChange"]
    return str(last["id"]), last["status"]


def partitions(cluster: Brokers) -> set[tuple[str, str]]:
    """Roles and states of all replicas that a broker sees."""
    found = cluster.ask(0, "/v2/topology", port=8080)[1]
    held = [one for broker in found["brokers"] for one in broker["partitions"]]
    return {(one["role"], one["state"]) for one in held}


def assert_they_fit(s3: Any, bucket: str, backup_id: int) -> None:
    """Nothing that was under way between partitions is in none of them, or known too early."""
    states = {}
    for partition in range(1, PARTITIONS + 1):
        key = f"backups/{backup_id}/{partition}/snapshot.json"
        states[partition] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    known = {
        one["element"]
        for state in states.values()
        for held in state["subscriptions"].values()
        for one in held
    } | {
        one["command"].get("element")
        for state in states.values()
        for one in state["outbox"].values()
    }
    waiting = [
        one["element"]
        for state in states.values()
        for one in state["instances"].values()
        if "waits" in one
    ]
    assert [one for one in waiting if one not in known] == []
    for state in states.values():
        assert all(at <= states[int(one)]["outboxCounter"] for one, at in state["seen"].items())


def empty(s3: Any, bucket: str) -> None:
    for one in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=one["Key"])
