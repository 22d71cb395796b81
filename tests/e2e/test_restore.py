"""A cluster is restored on the embedded AWS: real brokers, a real database, everything at once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.cloud import eventually
from tests.support.returns import Returns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.component import Instance

CLUSTER = "returns"


@pytest.fixture(scope="module")
def site(instance: Instance) -> Iterator[Returns]:
    made = Returns(instance, CLUSTER)
    made.provision(Brokers=2, Partitions=2, ReplicationFactor=1, Connectors=0)
    yield made
    if made.standing(CLUSTER):
        made.run("teardown", {"clusterName": CLUSTER, "confirm": CLUSTER})


def test_what_was_acknowledged_before_the_backup_is_there_and_nothing_after_it(
    site: Returns, tmp_path: Path
) -> None:
    before = site.works(tmp_path, 10)
    assert site.publish("before")
    backup = site.done("backup", action="take")["backup"]
    after = site.works(tmp_path, 10) - before
    assert after
    assert site.publish("after")
    former = dict(site.outputs(site.stack))
    outputs = site.restore(backup=backup["id"])
    assert outputs["DataGeneration"] == "2"
    assert outputs["DatabaseSnapshot"] == backup["snapshot"]
    there = site.found()
    assert all(len(there.get(one, ())) == 1 for one in before)
    assert not after & set(there)
    # So are messages: one that waits keeps its id, and a process instance gets it.
    assert not site.publish("before")
    assert site.publish("after")
    assert site.met("before")
    # What was is still there.
    clusters = site.client("rds").describe_db_clusters()["DBClusters"]
    assert former["DatabaseClusterId"] in {one["DBClusterIdentifier"] for one in clusters}
    assert former["DatabaseClusterId"] != outputs["DatabaseClusterId"]
    site.client("s3").head_bucket(Bucket=former["NodeIdBucketName"])
    # And it works on.
    assert site.works(tmp_path, 5)


def without_data(site: Returns) -> None:
    """Stop the brokers and delete all that they have on the file system."""
    site.service(desiredCount=0)
    # A task that stops is not counted, and its process writes until it has ended.
    assert eventually(lambda: site.known() == [], 60)
    for path in site.data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def without_database(site: Returns) -> None:
    """Delete the database that the cluster uses, with its automated backups."""
    rds, database = site.client("rds"), site.outputs(site.stack)["DatabaseClusterId"]
    rds.modify_db_cluster(DBClusterIdentifier=database, DeletionProtection=False)
    for one in site.databases()[database]["DBClusterMembers"]:
        rds.delete_db_instance(
            DBInstanceIdentifier=one["DBInstanceIdentifier"], SkipFinalSnapshot=True
        )
    assert eventually(lambda: not site.databases()[database]["DBClusterMembers"], 60)
    rds.delete_db_cluster(DBClusterIdentifier=database, SkipFinalSnapshot=True)
    assert eventually(lambda: database not in site.databases(), 60)


@pytest.mark.parametrize(
    "destroyed",
    [
        pytest.param((without_data,), id="the data of the brokers", marks=pytest.mark.long),
        pytest.param((without_database,), id="the database", marks=pytest.mark.long),
        pytest.param((without_data, without_database), id="both"),
    ],
)
def test_what_is_destroyed_comes_back(
    site: Returns, tmp_path: Path, destroyed: tuple[Callable[[Returns], None], ...]
) -> None:
    before = site.works(tmp_path, 10)
    backup = site.done("backup", action="take")["backup"]
    for destroy in destroyed:
        destroy(site)
    # A former database keeps its continuous backup, and is no source for a moment after it.
    outputs = site.restore(backup=backup["id"])
    assert outputs["DatabaseSnapshot"] == backup["snapshot"]
    assert before <= set(site.found())
    assert site.works(tmp_path, 5)


def test_a_restored_cluster_is_torn_down_with_its_former_databases(site: Returns) -> None:
    present = site.outputs(site.stack)["DatabaseClusterId"]
    former = set(site.databases()) - {present}
    assert former
    report = site.done("teardown", confirm=site.cluster)
    assert set(report["plan"]["formerDatabases"]) == former
    assert site.databases() == {}
    listed = site.client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"]
    final = {
        one["DBClusterIdentifier"]: one["DBClusterSnapshotIdentifier"]
        for one in listed
        if "-final-" in one["DBClusterSnapshotIdentifier"]
    }
    assert former <= set(final)
    assert {final[name] for name in former} <= set(report["snapshots"])
    assert not site.standing(site.cluster)
