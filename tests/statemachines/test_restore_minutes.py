"""How long a restore takes, as its plan shows it: from what was measured, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.operation.rehearsal_note import note_of
from lifecycle.times import written

from tests.statemachines.test_restore import Restore
from tests.statemachines.test_restore_from import NewCluster

if TYPE_CHECKING:
    from datetime import datetime

    from tests.support.restore import RestoreWorld


def rehearsed(world: RestoreWorld, cluster: str, at: datetime, result: str = "PASS") -> None:
    """Let a rehearsal of a cluster have ended then."""
    found = {"result": result, "recoverySeconds": 3900}
    note = note_of({"result": "SUCCEEDED", "rehearsal": found}, f"{cluster}.rehearse.1", at)
    assert note is not None
    world.table.note_rehearsal(cluster, note)


AGAIN = {"backup": 99, "again": True}


def minutes(machine: Restore | NewCluster, **asked: Any) -> Any:
    result = machine.run(9, dryRun=True, **asked)
    assert result.status == "SUCCEEDED", result.cause
    return result.output["plan"]["minutes"]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Restore:
    return Restore(monkeypatch)


@pytest.fixture
def new_cluster(monkeypatch: pytest.MonkeyPatch) -> NewCluster:
    return NewCluster(monkeypatch)


def test_without_one_nothing_is_known_and_a_rehearsal_is_named(machine: Restore) -> None:
    found = minutes(machine)
    assert found["last"] is None
    assert "No restore of this cluster has been measured: rehearse one" in found["text"]


def test_the_last_restore_is_shown_with_its_time(machine: Restore) -> None:
    world = machine.world
    assert machine.run().status == "SUCCEEDED"
    ended = world.clock.now()
    world.clock.pass_seconds(7200)
    found = minutes(machine, **AGAIN)
    last = found["last"]
    assert (last["kind"], last["operationId"]) == ("restore", "demo.restore.1")
    assert last["at"] == written(ended)
    assert last["seconds"] > 0
    assert "The last restore of this cluster took" in found["text"]
    assert "(demo.restore.1, 2 h ago)." in found["text"]


def test_a_rehearsal_after_it_is_shown_in_its_place(machine: Restore) -> None:
    world = machine.world
    rehearsed(world, "demo", world.clock.now() - timedelta(days=3))
    found = minutes(machine)
    assert found["last"] == {
        "kind": "rehearsal",
        "operationId": "demo.rehearse.1",
        "at": written(world.clock.now() - timedelta(days=3)),
        "seconds": 3900,
    }
    assert "into a cluster that was made for it, took 1 h 5 min" in found["text"]
    assert "(demo.rehearse.1, 3 d ago)." in found["text"]
    assert machine.run().status == "SUCCEEDED"
    assert minutes(machine, **AGAIN)["last"]["kind"] == "restore"
    world.clock.pass_seconds(60)
    rehearsed(world, "demo", world.clock.now())
    assert minutes(machine, **AGAIN)["last"]["kind"] == "rehearsal"


def test_one_that_failed_measured_nothing(machine: Restore) -> None:
    rehearsed(machine.world, "demo", machine.world.clock.now(), result="FAIL")
    assert minutes(machine)["last"] is None


def test_a_new_cluster_takes_as_long_as_the_rehearsals_of_its_source(
    new_cluster: NewCluster,
) -> None:
    """The source was torn down; what its rehearsals measured is still there."""
    world = new_cluster.world
    rehearsed(world, "demo", world.clock.now())
    assert minutes(new_cluster)["last"] is None
    rehearsed(world, "old", world.clock.now() - timedelta(days=40))
    found = minutes(new_cluster)
    assert (found["last"]["operationId"], found["last"]["seconds"]) == ("old.rehearse.1", 3900)
    assert "took 1 h 5 min (old.rehearse.1, 40 d ago)." in found["text"]
