"""What brokers acknowledge while a client works is there afterwards, whatever happens to them.

The checker reads their files itself; its answer to tasks removed by hand shows that it finds loss.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.blocks import block
from tests.support.brokers import Brokers, Leases, brokers
from tests.support.cloud import eventually
from tests.support.ledger import Claims, Verdict, judge, read
from tests.support.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = f"{block('proof')}.100"
LONG = pytest.mark.long
VERSIONS = ["8.9.16", pytest.param("8.10.0", marks=LONG)]
PARTITIONS = 6


@pytest.fixture(scope="module")
def leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leases]:
    made = Leases(tmp_path_factory.mktemp("leases"), block("proof"))
    yield made
    made.close()


def traffic(cluster: Brokers, *tasks: int) -> Traffic:
    addresses = [f"http://{cluster.address(task)}:8080" for task in tasks or (0, 1, 2)]
    return Traffic(cluster.directory / "traffic.jsonl", addresses)


def verdict(cluster: Brokers, client: Traffic) -> Verdict:
    """Wait for the followers, which write what is committed a moment later, then judge."""
    client.stop()
    time.sleep(1)
    claims = Claims.read(client.log)
    found = judge(claims, cluster.directory / "data")
    assert claims.counts().keys() == {"create", "complete", "publish"}, found
    return found


def leader(cluster: Brokers, task: int, partition: int) -> int:
    """Node id of the leader, as a broker knows it."""
    _, found = cluster.ask(task, "/v2/topology", port=8080)
    return next(
        int(one["nodeId"])
        for one in found["brokers"]
        for held in one["partitions"]
        if (held["partitionId"], held["role"]) == (partition, "leader")
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_scaling_out_and_in(tmp_path: Path, leases: Leases, version: str) -> None:
    with (
        brokers(tmp_path, BLOCK, leases, version=version, partitions=PARTITIONS) as cluster,
        traffic(cluster) as client,
    ):
        # Twice: a journal that tells of members who left and came back is read by the next one.
        for _ in range(2):
            assert client.goes_on()
            cluster.start(3)
            cluster.change(0, "PATCH", "/actuator/cluster", {"brokers": {"count": 4}})
            assert client.goes_on()
            assert any(one.node == 3 for held in read(tmp_path / "data").values() for one in held)
            cluster.change(0, "PATCH", "/actuator/cluster", {"brokers": {"count": 3}})
            cluster.kill(cluster.task_of(3), signal.SIGTERM)
        assert client.goes_on()
        found = verdict(cluster, client)
        assert found.good, found
        assert all(len(held) == 3 for held in read(tmp_path / "data").values())


def test_a_killed_leader(tmp_path: Path, leases: Leases) -> None:
    with (
        brokers(tmp_path, BLOCK, leases, partitions=PARTITIONS) as cluster,
        traffic(cluster) as client,
    ):
        assert client.goes_on()
        task = cluster.task_of(leader(cluster, 0, 2))
        cluster.kill(task)
        assert client.goes_on()
        cluster.start(task)
        assert eventually(lambda: cluster.ready(*cluster.tasks), 30)
        assert client.goes_on()
        found = verdict(cluster, client)
        assert found.good, found


def test_a_coordinator_that_stands_still(tmp_path: Path, leases: Leases) -> None:
    # Longer than the leader's patience and the members', shorter than the lease.
    with (
        brokers(tmp_path, BLOCK, leases, partitions=PARTITIONS, lease="PT15S") as cluster,
        traffic(cluster) as client,
    ):
        assert client.goes_on()
        frozen = cluster.tasks[cluster.task_of(0)].pid
        os.kill(frozen, signal.SIGSTOP)
        time.sleep(5)
        os.kill(frozen, signal.SIGCONT)
        assert client.goes_on()
        assert eventually(lambda: cluster.ready(*cluster.tasks), 30)
        found = verdict(cluster, client)
        assert found.good, found


@pytest.mark.parametrize("newer", [pytest.param("8.9.17", marks=LONG), "8.10.0"])
def test_a_rolling_restart(tmp_path: Path, leases: Leases, newer: str) -> None:
    with (
        brokers(tmp_path, BLOCK, leases, partitions=PARTITIONS) as cluster,
        traffic(cluster) as client,
    ):
        assert client.goes_on()
        for task in range(3):
            cluster.kill(task, signal.SIGTERM)
            cluster.start(task, newer)
            assert eventually(lambda: cluster.ready(*cluster.tasks), 30), cluster.log(task)
            assert client.goes_on()
        assert {
            one["version"] for one in cluster.ask(0, "/v2/topology", port=8080)[1]["brokers"]
        } == {newer}
        found = verdict(cluster, client)
        assert found.good, found


def test_a_forced_removal_keeps_what_the_others_have(tmp_path: Path, leases: Leases) -> None:
    with (
        brokers(tmp_path, BLOCK, leases, partitions=PARTITIONS) as cluster,
        traffic(cluster) as client,
    ):
        assert client.goes_on()
        cluster.kill(cluster.task_of(2))
        change = {"brokers": {"remove": [2]}}
        asked = min(cluster.tasks)
        cluster.change(asked, "PATCH", "/actuator/cluster?force=true", change)
        assert client.goes_on()
        found = verdict(cluster, client)
        assert found.good, found
        assert all(
            {one.node for one in held if one.generation == 2} == {0, 1}
            for held in read(tmp_path / "data").values()
        )


def test_a_count_lowered_by_hand_loses_data_and_it_is_found(tmp_path: Path, leases: Leases) -> None:
    with (
        brokers(tmp_path, BLOCK, leases, size=5, partitions=PARTITIONS) as cluster,
        traffic(cluster, 0, 1, 2, 3, 4) as client,
    ):
        assert client.goes_on()
        before = verdict(cluster, client)
        assert before.good, before
        members = {
            partition: held[0].members for partition, held in read(tmp_path / "data").items()
        }
        removed = members[1][:2]
        struck = {
            partition for partition, nodes in members.items() if len(set(nodes) & set(removed)) == 2
        }
        for node in removed:
            cluster.kill(cluster.task_of(node))
            shutil.rmtree(tmp_path / "data" / f"node-{node}")
        after = verdict(cluster, client)
        assert not after.good
        assert len(after.without_majority) == len(struck) >= 1, after
        assert any("of partition 1" in one for one in after.lost), after
        assert after.doubled == []
