"""To which moment a cluster is restored on the embedded AWS: what is refused, and what goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from lifecycle.restore.facts import MARGIN

from tests.support.returns import Returns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.component import Instance

CLUSTER = "moments"


@pytest.fixture(scope="module")
def site(instance: Instance) -> Iterator[Returns]:
    made = Returns(instance, CLUSTER)
    made.provision(Brokers=2, Partitions=2, ReplicationFactor=1, Connectors=0)
    # A database of half a minute before a backup has the tables that brokers make when they start.
    time.sleep(MARGIN.total_seconds() + 1)
    yield made
    if made.standing(CLUSTER):
        made.run("teardown", {"clusterName": CLUSTER, "confirm": CLUSTER})


def test_to_a_moment_after_which_there_were_more_backups(site: Returns, tmp_path: Path) -> None:
    """Without its snapshot, the database of that moment is made from continuous backup."""
    before = site.works(tmp_path, 10)
    backup = site.done("backup", action="take")["backup"]
    # Aurora restores to a moment that is not before its creation; a margin of half a minute.
    site.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=backup["snapshot"])
    moment = site.now()
    after = site.works(tmp_path, 10) - before
    site.done("backup", action="take")
    outputs = site.restore(to=moment)
    assert "-restore-" in outputs["DatabaseSnapshot"]
    there = set(site.found())
    assert before <= there
    assert not after & there
    # The copy is gone, and what was is there.
    assert [name for name in site.databases() if "-staging-" in name] == []


def test_in_a_gap_it_is_refused_and_on_both_sides_of_it_it_is_restored(
    site: Returns, tmp_path: Path
) -> None:
    first = site.works(tmp_path, 10)
    early = site.done("backup", action="take")["backup"]
    second = site.works(tmp_path, 10) - first
    deleted = site.done("backup", action="take")["backup"]
    moment = site.now()
    third = site.works(tmp_path, 10) - first - second
    late = site.done("backup", action="take")["backup"]
    fourth = site.works(tmp_path, 10) - first - second - third
    site.done("backup", action="delete", backup=deleted["id"], confirm=site.cluster)
    told = site.refused(backup=deleted["id"])
    assert told["error"] == "RestoreRefused"
    assert told["cause"].startswith(f"backup is {deleted['id']}, which does not exist")
    told = site.refused(to=moment)
    assert told["error"] == "RestoreRefused"
    assert f"to is {moment}, which lies in a gap: partition 1 can be restored" in told["cause"]
    assert told["currentState"] == "Nothing was changed."
    assert fourth <= set(site.found())
    # After it.
    site.restore(backup=late["id"])
    there = set(site.found())
    assert first | second | third <= there
    assert not fourth & there
    # Before it.
    site.restore(backup=early["id"])
    there = set(site.found())
    assert first <= there
    assert not (second | third) & there


def test_stopped_in_the_middle_the_same_request_ends_it(site: Returns, tmp_path: Path) -> None:
    before = site.works(tmp_path, 10)
    backup = site.done("backup", action="take")["backup"]
    after = site.works(tmp_path, 10) - before
    request = {"confirm": site.cluster, "backup": backup["id"]}
    execution = site.follow(request)
    site.client("stepfunctions").stop_execution(executionArn=execution)
    site.ended(execution)
    generation = site.outputs(site.stack)["DataGeneration"]
    outputs = site.restore(backup=backup["id"])
    assert outputs["DataGeneration"] == generation
    there = set(site.found())
    assert before <= there
    assert not after & there
    # What brokers have done since stays, unless the request has it otherwise.
    since = site.works(tmp_path, 5) - before
    told = site.refused(backup=backup["id"])
    assert told["cause"].endswith("restored it, and the cluster has worked since.")
    assert since <= set(site.found())
    site.restore(backup=backup["id"], again=True)
    there = set(site.found())
    assert before <= there
    assert not since & there


@pytest.mark.long
def test_after_a_rotation_the_present_passwords_are_those_that_log_in(site: Returns) -> None:
    backup = site.done("backup", action="take")["backup"]
    user = site.user
    site.done("rotate", secrets=["admin"])
    assert site.user != user
    site.restore(backup=backup["id"])
    site.found()


def test_another_number_of_partitions_is_refused(site: Returns) -> None:
    backup = site.done("backup", action="take")["backup"]
    site.done("scale", partitions=3)
    told = site.refused(backup=backup["id"])
    assert told["error"] == "RestoreRefused"
    assert "it has 2 partitions and the cluster 3" in told["cause"]
    assert told["currentState"] == "Nothing was changed."
