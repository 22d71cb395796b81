"""A cluster that lost everything but its backup comes back with what was acknowledged before it."""

from __future__ import annotations

import json
import shutil
import signal
import time
from datetime import datetime
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


def test_what_is_not_in_a_backup_is_not_older_than_its_checkpoint(
    tmp_path: Path, leases: Leases
) -> None:
    """The checkpoint is a record of the log: its time is between those of its neighbours.

    A rehearsal compares a copy with the cluster by this time. `CheckpointCreateProcessor` of
    camunda/camunda takes time and position of a backup from that record.
    """
    with brokers(tmp_path, BLOCK, leases, partitions=PARTITIONS) as cluster:
        for backup_id in range(7, 13):
            worked_on(cluster, "before", backup_id=backup_id)
        s3, bucket = leases.client(), cluster.backup_bucket
        for partition in range(1, PARTITIONS + 1):
            records = contents(s3, bucket, partition, 12)["records"]
            assert records
            for backup_id in range(7, 12):
                document = manifest(s3, bucket, partition, backup_id)["descriptor"]
                taken = datetime.fromisoformat(document["checkpointTimestamp"]).timestamp() * 1000
                position = document["checkpointPosition"]
                assert position > 0
                after = [one["timestamp"] for one in records if one["position"] > position]
                before = [one["timestamp"] for one in records if one["position"] <= position]
                assert min(after) >= round(taken) >= max(before)


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


def test_a_backup_is_restored_into_as_many_partitions_as_it_has(
    tmp_path: Path, leases: Leases
) -> None:
    path = "/actuator/backupRuntime"
    four = {"CAMUNDA_CLUSTER_PARTITIONCOUNT": "4"}
    with brokers(tmp_path, BLOCK, leases, partitions=PARTITIONS) as cluster:
        worked_on(cluster, "before", backup_id=7)
        change = cluster.change(0, "PATCH", "/actuator/cluster", {"partitions": {"count": 4}})
        assert change["status"] == "COMPLETED"
        after = worked_on(cluster, "after", backup_id=8)
        assert {int(key) >> 51 for key in after.acknowledged.values()} == {1, 2, 3, 4}
        ranges = cluster.ask(0, f"{path}/state")[1]["ranges"]
        starts = {one["partitionId"]: one["start"]["checkpointId"] for one in ranges}
        assert starts == {1: 7, 2: 7, 3: 7, 4: 8}, "a new partition has no log before it"
        for task in TASKS:
            cluster.kill(task, signal.SIGTERM)

        for backup, environment, why in (
            (8, {}, "8: it has 4 partitions with replication factor 3, the cluster 3 with 3"),
            (7, four, "7: it has 3 partitions with replication factor 3, the cluster 4 with 3"),
        ):
            lost(cluster, leases)
            cluster.start(0, restore=[f"--backupId={backup}"], environment=environment)
            assert cluster.ended(0) == 1
            assert why in cluster.log(0)
        lost(cluster, leases)
        for task in TASKS:
            cluster.start(task, restore=["--backupId=8"], environment=four)
        assert [cluster.ended(task) for task in TASKS] == [0, 0, 0], cluster.log(0)
        for task in TASKS:
            cluster.start(task, environment=four)
        assert eventually(lambda: cluster.ready(*TASKS), 40), cluster.log(0)
        settled(cluster, after)


def test_a_restore_that_was_interrupted_is_repeated(tmp_path: Path, leases: Leases) -> None:
    """A node that is restored waits for the others; all of them start again and it is whole."""
    with brokers(tmp_path, BLOCK, leases, partitions=PARTITIONS) as cluster:
        before = worked_on(cluster, "before", backup_id=7)
        for task in TASKS:
            cluster.kill(task, signal.SIGTERM)
        lost(cluster, leases)
        done = "Successfully restored broker from backup 7"
        for task in (0, 1):
            cluster.start(task, restore=["--backupId=7"])
        assert eventually(lambda: done in cluster.log(0) and done in cluster.log(1), 20)
        for task in (0, 1):
            assert cluster.tasks[task].poll() is None, "one is missing: they wait"
            cluster.kill(task)

        for task in TASKS:
            cluster.start(task, restore=["--backupId=7"])
        assert [cluster.ended(task) for task in TASKS] == [0, 0, 0], cluster.log(0)
        assert sum(cluster.log(task).count(done) for task in TASKS) == 3, "each node once"
        for task in TASKS:
            cluster.start(task)
        assert eventually(lambda: cluster.ready(*TASKS), 40), cluster.log(0)
        settled(cluster, before)


def lost(cluster: Brokers, leases: Leases) -> None:
    """Lose data and leases of brokers that are stopped."""
    shutil.rmtree(cluster.directory / "data", ignore_errors=True)
    empty(leases.client(), cluster.lease_bucket)


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
        states[partition] = contents(s3, bucket, partition, backup_id)
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


def contents(s3: Any, bucket: str, partition: int, backup_id: int) -> dict[str, Any]:
    """Give what a backup has of a partition."""
    return read(s3, bucket, f"contents/{partition}/{backup_id}/", "/snapshot.json")


def manifest(s3: Any, bucket: str, partition: int, backup_id: int) -> dict[str, Any]:
    """Give the manifest of a backup of a partition."""
    return read(s3, bucket, f"manifests/{partition}/{backup_id}/", "/manifest.json")


def read(s3: Any, bucket: str, prefix: str, name: str) -> dict[str, Any]:
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    key = next(one["Key"] for one in found if one["Key"].endswith(name))
    return dict(json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))


def empty(s3: Any, bucket: str) -> None:
    for one in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=one["Key"])
