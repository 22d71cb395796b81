"""Backups of a cluster are taken and deleted, on the embedded AWS and local brokers."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.config import CONTROL_STACK
from tests.support.cloud import FREE_AGAIN, eventually
from tests.support.site import Site

if TYPE_CHECKING:
    from local.component import Instance

TAKE = {"action": "take"}
PARAMETER = "BackupSnapshotSchedule"


class Kept(Site):
    """The cluster `demo` with its backups, as RDS and the brokers have them."""

    @property
    def database(self) -> str:
        return self.outputs(self.stack)["DatabaseClusterId"]

    def snapshots(self) -> dict[str, dict[str, str]]:
        """Tags of the manual snapshots that are part of a backup, by name."""
        found = self.client("rds").describe_db_cluster_snapshots(
            DBClusterIdentifier=self.database, SnapshotType="manual"
        )
        tagged = {
            one["DBClusterSnapshotIdentifier"]: {
                tag["Key"]: tag["Value"] for tag in one.get("TagList", [])
            }
            for one in found["DBClusterSnapshots"]
        }
        return {
            name: tags for name, tags in tagged.items() if tags.get("camunda:purpose") == "backup"
        }

    def of_brokers(self) -> dict[int, dict[str, Any]]:
        """Backups of the brokers, by id, as a broker lists them."""
        found: Any = self.ask(0, "GET", "backupRuntime")
        return {one["backupId"]: one for one in found}

    def take(self) -> dict[str, Any]:
        return dict(self.run("backup", {"clusterName": self.cluster, **TAKE})["backup"])

    def refused(self, **given: Any) -> str:
        """Run the machine, which refuses; gives the error and the cause."""
        ended = self.ended(self.start({"clusterName": self.cluster, **given}, "backup"), 240)
        assert ended["status"] == "FAILED", ended
        return f"{ended['error']}: {ended['cause']}"

    def entered(self, execution: str) -> list[str]:
        """States that an execution has entered."""
        events = self.client("stepfunctions").get_execution_history(
            executionArn=execution, maxResults=1000
        )["events"]
        return [one.get("stateEnteredEventDetails", {}).get("name", "") for one in events]


@pytest.fixture(scope="module")
def kept(instance: Instance) -> Kept:
    return Kept(instance, "demo")


def test_the_brokers_backup_begins_after_the_snapshot_and_covers_every_partition(
    kept: Kept,
) -> None:
    tasks = {one["taskArn"] for one in kept.known()}
    found = kept.take()
    brokers = kept.of_brokers()[found["id"]]
    assert brokers["state"] == "COMPLETED"
    assert len(brokers["details"]) == found["partitions"] == 3
    assert datetime.fromisoformat(found["at"]) > datetime.fromisoformat(found["snapshotAt"])
    assert kept.snapshots()[found["snapshot"]]["camunda:backup"] == str(found["id"])
    assert {one["taskArn"] for one in kept.known()} == tasks
    assert kept.locks() == []


def test_an_execution_that_is_aborted_and_one_after_it_leave_one_pair_each(kept: Kept) -> None:
    before, began = kept.snapshots(), time.time()
    request = {"clusterName": "demo", **TAKE}
    execution = kept.start(request, "backup", f"demo.backup.stopped-{int(began)}")
    assert eventually(lambda: "TakeBackup" in kept.entered(execution), 60)
    kept.client("stepfunctions").stop_execution(executionArn=execution)
    assert eventually(lambda: not kept.locks(), FREE_AGAIN)
    found = kept.take()
    new = {name: tags for name, tags in kept.snapshots().items() if name not in before}
    # At most one of the execution that was stopped, which no backup follows.
    assert found["snapshot"] in new
    assert len(new) <= 2
    whole = [name for name, tags in new.items() if "camunda:backup" in tags]
    assert found["snapshot"] in whole
    assert len(whole) == len({new[name]["camunda:backup"] for name in whole})


def test_an_older_one_is_deleted_with_its_snapshot_and_the_newest_is_kept(kept: Kept) -> None:
    old, new = kept.take(), kept.take()
    told = kept.refused(action="delete", backup=new["id"], confirm="demo")
    assert told.startswith("BackupRefused")
    assert "newest completed" in json.loads(told.partition(": ")[2])["cause"]
    request = {"clusterName": "demo", "action": "delete", "backup": old["id"], "confirm": "demo"}
    done = kept.run("backup", request)
    assert done["deleted"] == [f"backup {old['id']}", f"snapshot {old['snapshot']}"]
    assert old["id"] not in kept.of_brokers()
    assert old["snapshot"] not in kept.snapshots()
    assert new["id"] in kept.of_brokers()
    assert new["snapshot"] in kept.snapshots()


def test_a_backup_that_is_not_the_clusters_is_refused(kept: Kept) -> None:
    assert kept.refused(action="delete", backup=1, confirm="demo").startswith("BackupRefused")
    told = kept.refused(action="delete", backup=1, confirm="other")
    assert told.startswith("InvalidRequest")


def test_the_clusters_schedule_takes_one_and_goes_with_the_parameter(kept: Kept) -> None:
    def provision(every: str) -> None:
        kept.run("provision", {"clusterName": "demo", "parameters": {PARAMETER: every}})

    def schedules() -> list[str]:
        return [one["Name"] for one in api.list_schedules(GroupName="default")["Schedules"]]

    api, name = kept.client("scheduler"), f"{CONTROL_STACK}_demo-backup"
    provision("daily")
    try:
        found = api.get_schedule(Name=name)
        assert found["ScheduleExpression"] == "cron(30 2 * * ? *)"
        before = set(kept.snapshots())
        at = datetime.now(UTC) + timedelta(seconds=1)
        api.update_schedule(
            **{one: found[one] for one in ("Name", "FlexibleTimeWindow", "Target")},
            ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
        )

        def taken() -> bool:
            new = {one: tags for one, tags in kept.snapshots().items() if one not in before}
            return any("camunda:backup" in tags for tags in new.values())

        assert eventually(taken, 120)
        assert eventually(lambda: not kept.locks(), FREE_AGAIN)
    finally:
        provision("none")
    assert name not in schedules()
