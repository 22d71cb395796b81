"""Scaling real brokers under work: nothing that was acknowledged is lost, whatever happens.

A client outside creates, correlates and completes through the load balancers all the while; at the
end what it was told is compared with what the cluster reports.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_scaling import SERVICE, STACK, Scaling
from tests.support.cloud import eventually
from tools.traffic import Traffic

if TYPE_CHECKING:
    from local.component import Instance
    from tests.support.ledger import Ledger


@pytest.fixture(scope="module")
def traffic(real: Instance) -> Iterator[Traffic]:
    found = json.loads(real.config.endpoints_file.read_text())
    with Traffic(found["alb"], found["grpc"]).flowing() as flowing:
        yield flowing


@pytest.fixture(scope="module")
def cloud(real: Instance, traffic: Traffic) -> Scaling:
    assert eventually(lambda: len(traffic.instances) > 10, 60), traffic.failures
    return Scaling(real)


def brokers(cloud: Scaling, execution: str, before: int, after: int) -> None:
    done = cloud.outcome(execution)
    assert done.get("result") == "SUCCEEDED", done
    assert done["verification"]["brokers"]["after"] == after
    assert done["verification"]["brokers"]["before"] in {before, after}
    cloud.settled(after)


def following(cloud: Scaling, execution: str) -> bool:
    """Whether Camunda has the change and the machine looks at it."""
    return cloud.in_progress(execution, "ChangeBrokers")


def test_three_to_four_while_a_second_request_is_told_of_the_first(
    cloud: Scaling, traffic: Traffic
) -> None:
    with traffic.undisturbed():
        execution = cloud.begin(4)
        assert eventually(lambda: cloud.locks() != [], 30)
        refused = cloud.scale(5)
        assert refused["error"] == "ClusterBusy", refused
        assert execution.rsplit(":", 1)[-1] in refused["cause"]
        brokers(cloud, execution, 3, 4)


def test_four_to_six_while_a_broker_dies_as_it_joins(cloud: Scaling) -> None:
    execution = cloud.begin(6)
    assert eventually(lambda: following(cloud, execution), 120)
    assert eventually(lambda: 5 in cloud.pids(), 60)
    os.kill(cloud.pids()[5], signal.SIGKILL)
    brokers(cloud, execution, 4, 6)


def test_six_to_three_aborted_in_the_middle_and_asked_for_again(
    cloud: Scaling, traffic: Traffic
) -> None:
    with traffic.undisturbed():
        aborted = cloud.begin(3)
        assert eventually(lambda: following(cloud, aborted), 120)
        cloud.client("stepfunctions").stop_execution(executionArn=aborted)
        assert eventually(lambda: cloud.locks() == [], 30)
        # Partitions may still move: nobody lowered the count under them.
        assert cloud.counts("demo")[SERVICE] == (6, 6)
        brokers(cloud, cloud.begin(3), 6, 3)


def test_three_to_five_while_the_coordinator_is_frozen(cloud: Scaling) -> None:
    execution = cloud.begin(5)
    assert eventually(lambda: following(cloud, execution), 120)
    coordinator = cloud.pids()[0]
    os.kill(coordinator, signal.SIGSTOP)
    time.sleep(8)
    os.kill(coordinator, signal.SIGCONT)
    brokers(cloud, execution, 3, 5)


def test_five_to_four(cloud: Scaling, traffic: Traffic) -> None:
    before = cloud.brokers()
    with traffic.undisturbed():
        brokers(cloud, cloud.begin(4), 5, 4)
    assert cloud.brokers() == {node: before[node] for node in range(4)}


def test_four_to_three_while_ecs_stops_a_survivor(cloud: Scaling) -> None:
    survivor = cloud.brokers()[1]
    execution = cloud.begin(3)
    assert eventually(lambda: cloud.service()["desiredCount"] == 3, 120)
    cloud.client("ecs").stop_task(cluster=STACK, task=survivor, reason="retired")
    done = cloud.outcome(execution)
    assert done.get("result") == "SUCCEEDED", done
    told = [one["seen"] for one in done["verification"]["checks"] if one["result"] == "WARN"]
    assert any("ECS stopped the task of broker 1, although it was protected" in one for one in told)
    cloud.settled(3)
    assert cloud.brokers()[1] != survivor


def test_a_new_image_is_moved_to_broker_by_broker(cloud: Scaling) -> None:
    before = cloud.brokers()
    image = {"OrchestrationImage": "camunda/camunda:8.9.17"}
    ended = cloud.ended(cloud.start({"clusterName": "demo", "parameters": image}), 400)
    assert ended["status"] == "SUCCEEDED", ended
    after = cloud.brokers()
    assert sorted(after) == sorted(before) == [0, 1, 2]
    assert not set(after.values()) & set(before.values())
    assert cloud.protected() == 0


def test_everything_acknowledged_is_there_and_finished_once(
    traffic: Traffic, ledger: Ledger
) -> None:
    traffic.stop()
    traffic.verify()
    assert len(traffic.instances) > 200
    assert eventually(lambda: ledger.caught_up(traffic.instances), 60), "not all was exported"
    wrong = ledger.contradictions(traffic.instances, traffic.completed, traffic.published)
    assert not wrong, f"{len(wrong)}: {wrong[:10]}"
    assert len(ledger.partitions) == 3
