"""A restore is rehearsed: backup, trial, comparison, and nothing of the trial is left."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.trial import rehearsal_trial

from local.config import CONTROL_STACK
from tests.support.cloud import FREE_AGAIN, eventually
from tests.support.ledger import pages
from tests.support.returns import PATIENCE, Returns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.component import Instance

CLUSTER = "practice"
SAME: dict[str, Any] = {"Brokers": 2, "Partitions": 2, "ReplicationFactor": 1}
TRIAL = rehearsal_trial(CLUSTER)
MARKER = "camunda-lifecycle-marker"


class Practice(Returns):
    """A cluster whose restore is rehearsed."""

    def left(self) -> dict[str, set[str]]:
        """What there is of the trial, which costs or holds data."""
        rds, arn = self.client("rds"), f"{CONTROL_STACK}-{TRIAL}"
        found = {
            "stacks": self.stacks(),
            "buckets": {one["Name"] for one in self.client("s3").list_buckets()["Buckets"]},
            "databases": {
                one["DBClusterIdentifier"] for one in rds.describe_db_clusters()["DBClusters"]
            },
            "snapshots": {
                one["DBClusterSnapshotIdentifier"]
                for one in rds.describe_db_cluster_snapshots()["DBClusterSnapshots"]
            },
            "groups": {
                one["logGroupName"]
                for one in self.client("logs").describe_log_groups()["logGroups"]
            },
        }
        mine = {kind: {one for one in names if arn in one} for kind, names in found.items()}
        systems = self.client("efs").describe_file_systems()["FileSystems"]
        tag = {"Key": "camunda:cluster", "Value": TRIAL}
        secrets = self.client("secretsmanager").list_secrets(MaxResults=100)["SecretList"]
        mine["secrets"] = {one["Name"] for one in secrets if tag in one.get("Tags", ())}
        mine["systems"] = {one["FileSystemId"] for one in systems if tag in one["Tags"]}
        return {kind: names for kind, names in mine.items() if names}

    def copied(self) -> str:
        """Name of the trial's bucket with backups, once its brokers are restored from it."""
        found: list[str] = []

        def restored() -> bool:
            if not self.standing(TRIAL):
                return False
            described = self.client("cloudformation").describe_stacks(
                StackName=f"{CONTROL_STACK}-{TRIAL}"
            )["Stacks"][0]
            outputs = {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", [])}
            if "BackupBucketName" not in outputs:
                return False
            found[:] = [outputs["BackupBucketName"]]
            return any(count[1] for count in self.counts(TRIAL).values())

        assert eventually(restored, PATIENCE)
        return found[0]


@pytest.fixture(scope="module")
def practice(instance: Instance) -> Iterator[Practice]:
    made = Practice(instance, CLUSTER)
    # Between two backups, its brokers write nothing into their bucket.
    rare: dict[str, Any] = {"BackupSchedule": "PT1H", "BackupCheckpointInterval": "PT1H"}
    made.provision(**SAME, Connectors=0, **rare)
    yield made
    for name in {TRIAL, CLUSTER} & made.clusters():
        made.run("teardown", {"clusterName": name, "confirm": name})


# A backup, a whole cluster, its restore and its teardown, beside clients at work.
@pytest.mark.timeout(2 * PATIENCE)
def test_a_restore_is_rehearsed_while_clients_work(practice: Practice, tmp_path: Path) -> None:
    planned = practice.done("rehearse", dryRun=True)
    assert any(TRIAL in one for one in planned["plan"]["steps"])
    assert practice.left() == {}
    practice.works(tmp_path, 10)
    began = time.monotonic()
    with practice.traffic(tmp_path) as client:
        execution = practice.start({"clusterName": CLUSTER}, "rehearse")
        bucket = practice.copied()
        assert bucket != practice.outputs(practice.stack)["BackupBucketName"]
        versions = practice.versions()
        assert not [key for key, _ in versions if key.startswith("camunda-lifecycle/")]
        ended = practice.ended(execution, 2 * PATIENCE)
        took = time.monotonic() - began
        # The backup was over before the trial: nothing has been written since.
        assert practice.versions() == versions
        practice.nothing_is_lost(client)
    assert ended["status"] == "SUCCEEDED", ended.get("cause", ended)
    found = json.loads(ended["output"])["rehearsal"]
    assert found["result"] == "PASS", json.dumps(found["checks"], indent=1)
    checks = {one["name"]: one for one in found["checks"]}
    assert checks["markers"]["result"] == "PASS"
    assert "all time" in checks["process instances started"]["seen"]
    assert 0 < found["recoverySeconds"] < took
    assert set(found["operations"]) == {"backup", "restore", "teardown"}
    assert practice.left() == {}
    # The lock may wait for a function that did not return in time.
    assert eventually(lambda: not practice.locks(), FREE_AGAIN)
    # Nothing of the rehearsal waits in the cluster.
    assert _waiting(practice) == []


def _waiting(practice: Practice) -> list[Any]:
    """Planted instances that wait on."""
    wanted = {"processDefinitionId": MARKER, "state": "ACTIVE"}
    return list(pages(practice.address, *practice.user, "process-instances", wanted))
