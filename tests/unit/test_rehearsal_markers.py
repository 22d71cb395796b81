"""Markers: planted on each partition before a backup, found and let go on in its copy."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from lifecycle.cluster.checks import Result
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.rehearsal.marker import (
    MESSAGE,
    PROCESS,
    Found,
    check_markers,
    read_found,
    variables,
)
from lifecycle.rehearsal.probe import RehearsalProber
from lifecycle.verification.create_instances import InstanceProber
from lifecycle.verification.process_instances import read_instances

from tests.fakes.identity import logins
from tests.fakes.management import InMemoryManagement
from tests.fakes.management_simulation import SimulatedCluster
from tests.fakes.processes import FakeProcesses
from tests.support.world import OUTPUTS, Admins

CLUSTER = ClusterOutputs(OUTPUTS)


class Scene:
    """A cluster that plants markers, and its copy, which has what the cluster had."""

    def __init__(self) -> None:
        self.live = FakeProcesses(3)
        self.copy = FakeProcesses(3)
        self.known: dict[str, Any] = {}
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def plant(self, looks: int = 2, marker: str = "r1") -> list[str]:
        management = InMemoryManagement(SimulatedCluster(3, 3, 3), running=range(3))
        prober = InstanceProber(
            management=lambda _: management,
            processes=lambda _: self.live,
            logins=logins(Admins()),
            monotonic=self.monotonic,
            process=PROCESS,
            variables=lambda attempt: variables(marker, attempt),
        )
        state: dict[str, Any] = {}
        for _ in range(looks):
            state = prober.query(CLUSTER, known=json.loads(json.dumps(state)))
        assert read_instances(state).complete
        return sorted(state["made"].values(), key=int)

    def restore(self) -> None:
        self.copy = replace(
            self.live,
            states=dict(self.live.states),
            variables=dict(self.live.variables),
            processes=dict(self.live.processes),
            published=[],
        )

    def prober(self, of: FakeProcesses) -> RehearsalProber:
        return RehearsalProber(lambda _: of, logins(Admins()), self.monotonic)

    def look(self, keys: list[str], marker: str = "r1") -> Found:
        answer = self.prober(self.copy).find(CLUSTER, marker=marker, keys=keys, known=self.known)
        self.known = json.loads(json.dumps(answer))
        return read_found(self.known)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_each_marker_is_found_and_goes_on_in_the_copy_and_waits_on_in_the_cluster(
    scene: Scene,
) -> None:
    keys = scene.plant()
    scene.restore()
    assert not scene.look(keys).complete
    found = scene.look(keys)
    assert found.complete
    assert check_markers(found).result is Result.PASS
    assert "each of 3" in check_markers(found).seen
    assert set(scene.live.states.values()) == {"ACTIVE"}


def test_each_marker_has_a_correlation_key_of_its_own(scene: Scene) -> None:
    """A message reaches one instance of a process."""
    keys = scene.plant()
    scene.restore()
    scene.look(keys)
    assert sorted(scene.copy.published) == [f"{MESSAGE} r1/{one}" for one in (1, 2, 3)]


def test_a_marker_that_is_missing_is_named(scene: Scene) -> None:
    keys = scene.plant()
    scene.restore()
    scene.copy.exported.discard(int(keys[1]))
    scene.copy.paused = {int(keys[1]) >> 51}
    scene.look(keys)
    check = check_markers(scene.look(keys))
    assert check.result is Result.FAIL
    assert f"does not find process instances {keys[1]}," in check.seen


def test_a_marker_that_does_not_go_on_is_named(scene: Scene) -> None:
    """The database has it, the brokers do not: totals would be the same."""
    keys = scene.plant()
    scene.restore()
    scene.copy.silent = {int(keys[2]) >> 51}
    scene.look(keys)
    check = check_markers(scene.look(keys))
    assert check.result is Result.FAIL
    assert f"process instances {keys[2]} are in the copy's database" in check.seen
    # Its message is sent again with each look.
    assert scene.copy.published.count(f"{MESSAGE} r1/3") == 2


def test_one_that_was_over_when_it_was_first_seen_did_not_go_on(scene: Scene) -> None:
    keys = scene.plant()
    scene.restore()
    scene.copy.states[int(keys[0])] = "COMPLETED"
    scene.look(keys)
    found = scene.look(keys)
    assert int(keys[0]) not in found.ended
    assert check_markers(found).result is Result.FAIL


def test_a_marker_of_another_rehearsal_is_not_ours(scene: Scene) -> None:
    keys = scene.plant(marker="r0")
    scene.restore()
    scene.look(keys)
    assert scene.look(keys).waiting == frozenset()
    assert scene.copy.published == []


@pytest.mark.parametrize("value", ["", '"r1"', "7", "{"])
def test_a_variable_that_is_none_of_ours_is_no_marker(scene: Scene, value: str) -> None:
    keys = scene.plant()
    scene.restore()
    original = scene.copy.marks
    scene.copy.marks = lambda *given: [replace(one, value=value) for one in original(*given)]  # type: ignore[method-assign]
    scene.look(keys)
    assert scene.look(keys).waiting == frozenset()


def test_a_failure_is_part_of_the_answer_and_passes(scene: Scene) -> None:
    keys = scene.plant()
    scene.restore()
    scene.copy.unsearchable = "HTTP 503: the database."
    found = scene.look(keys)
    assert found.problem == "HTTP 503: the database"
    assert check_markers(found).seen.endswith(": HTTP 503: the database")
    scene.copy.unsearchable = ""
    scene.look(keys)
    assert scene.look(keys).complete


def test_without_a_marker_nothing_is_known() -> None:
    check = check_markers(Found(()))
    assert check.result is Result.WARN
    assert "unknown" in check.seen


def test_markers_of_all_rehearsals_are_removed(scene: Scene) -> None:
    scene.plant()
    scene.plant(marker="r2")
    prober = scene.prober(scene.live)
    assert prober.remove(CLUSTER) == {"left": 6, "problem": ""}
    assert set(scene.live.states.values()) == {"TERMINATED"}
    assert prober.remove(CLUSTER) == {"left": 0, "problem": ""}
    scene.live.refused = True
    assert prober.remove(CLUSTER)["left"] == -1
    assert prober.remove(CLUSTER)["problem"] == "HTTP 401: the login is not known"
