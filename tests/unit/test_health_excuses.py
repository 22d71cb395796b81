"""Excuses end by the broker and the time since it was last whole, not by the task."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.health.verdict import as_document, read_document

from tests.support.health import OUTPUTS, HealthWorld, codes

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture
def world() -> HealthWorld:
    return HealthWorld()


def gone(world: HealthWorld, node: int = 2) -> None:
    """Kill a broker; the others notice, and ECS has no task for it yet."""
    world.management.kill_broker(node)
    world.management.pass_time(10)
    world.cloud.running[:] = [one for one in world.cloud.running if one["task"] != f"task-{node}"]
    world.cloud.brokers |= {"running": len(world.cloud.running)}


def task(world: HealthWorld, name: str, minutes: float, health: str = "UNKNOWN") -> None:
    """Let ECS run a task that was started ``minutes`` before the next check, and has not joined."""
    started = world.clock.at + timedelta(minutes=5 - minutes)
    world.cloud.running[:] = [one for one in world.cloud.running if one["address"] != "10.0.0.99"]
    world.cloud.running.append(
        {
            "task": name,
            "address": "10.0.0.99",
            "status": "RUNNING",
            "startedAt": started.isoformat(),
            "health": health,
        }
    )
    world.cloud.brokers |= {"running": len(world.cloud.running)}


def back(world: HealthWorld, node: int = 2) -> None:
    world.management.start_broker(node)
    world.management.pass_time(20)
    world.cloud.running[:] = [one for one in world.cloud.running if one["address"] != "10.0.0.99"]
    address = f"10.0.0.{10 + node}"
    world.cloud.running.append(
        {
            "task": f"task-{node}",
            "address": address,
            "status": "RUNNING",
            "startedAt": world.clock.at.isoformat(),
        }
    )
    world.cloud.brokers |= {"running": 3}


def missing(report: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = next(
        one for one in report["findings"] if one["code"] == "BROKER_MISSING"
    )
    return found


@pytest.mark.parametrize("every", [16, 20])
def test_a_broker_that_is_killed_before_it_is_whole_is_told_after_the_grace(
    world: HealthWorld, every: int
) -> None:
    world.outputs["ContinuousBackup"] = "false"
    world.check()
    gone(world)
    reports = []
    for minutes in range(5, 4 * 60, 5):
        # Replaced again and again: the task is never older than ``every``.
        task(world, f"try-{minutes // every}", (minutes - 4) % every)
        reports.append(world.check())
    settled = [bool(missing(one).get("transient")) for one in reports]
    assert settled == [True] * 3 + [False] * (len(reports) - 3)
    assert [subject for subject, _ in world.messages.sent] == [
        "demo is DEGRADED: brokers are missing"
    ]
    assert reports[-1]["notified"] == "DEGRADED"
    assert "unhealthy for 2" in missing(reports[-1])["seen"]
    back(world)
    world.check()
    assert world.check()["notified"] == "HEALTHY"


def test_a_broker_that_is_killed_and_comes_back_every_16_minutes_is_told(
    world: HealthWorld,
) -> None:
    world.outputs["ContinuousBackup"] = "false"
    world.check()
    reports = []
    for _ in range(12):
        gone(world)
        task(world, "again", 1)
        reports.append(world.check(minutes=5))
        back(world)
        reports.append(world.check(minutes=5))
        reports.append(world.check(minutes=6))
    assert reports[-1]["notified"] == "DEGRADED"
    assert codes(reports[-1]) == {"BROKER_UNSTABLE"}
    assert len(world.messages.sent) == 1
    # Three times is what is told, and it is over two hours after.
    assert [("BROKER_UNSTABLE" in codes(one)) for one in reports[:7]] == [False] * 6 + [True]
    for _ in range(26):
        report = world.check()
    assert (report["verdict"], report["notified"]) == ("HEALTHY", "HEALTHY")


def test_what_an_operation_takes_away_is_not_lost(world: HealthWorld) -> None:
    world.check()
    for _ in range(4):
        gone(world)
        world.hold("restart")
        world.check()
        back(world)
        world.hold("restart")
        world.check()
    world.locks.clear()
    assert world.check()["verdict"] == "HEALTHY"


def test_a_broker_that_was_scaled_away_is_not_missed(world: HealthWorld) -> None:
    world.outputs["ContinuousBackup"] = "false"
    world.check()
    for _ in range(3):
        gone(world)
        world.check()
        back(world)
        report = world.check()
    assert codes(report) == {"BROKER_UNSTABLE"}
    inside, _ = world.look()
    del inside["answers"]["configuration"]["brokers"][2]
    assert "BROKER_UNSTABLE" not in codes(world.check(inside=inside))


def test_the_time_since_it_was_whole_outlives_a_check_that_sees_no_topology(
    world: HealthWorld,
) -> None:
    world.check()
    gone(world)
    task(world, "try", 1)
    world.check()
    inside, _ = world.look()
    del inside["answers"]["topology"]
    inside["problems"]["topology"] = "no answer within 7 s"
    world.check(inside=inside, minutes=10)
    task(world, "again", 1)
    assert "transient" not in missing(world.check())


def test_a_broker_in_the_topology_that_lacks_a_copy_is_not_whole(world: HealthWorld) -> None:
    world.check()
    gone(world)
    task(world, "try", 1)
    world.check()
    # It shows up while it replays, and is killed again.
    inside, _ = world.look()
    brokers = inside["answers"]["topology"]["brokers"]
    replaying = [{**one, "role": "inactive"} for one in brokers[0]["partitions"]]
    brokers.append({**brokers[0], "nodeId": 2, "host": "10.0.0.99", "partitions": replaying})
    world.check(inside=inside, minutes=10)
    task(world, "again", 1)
    assert "transient" not in missing(world.check())


def test_the_grace_is_the_one_of_the_stack() -> None:
    world = HealthWorld(outputs={**OUTPUTS, "BrokerGraceSeconds": "3600"})
    world.check()
    gone(world)
    for minutes in range(1, 55, 5):
        task(world, "slow", minutes)
        assert missing(world.check())["transient"]
    assert world.messages.sent == []
    task(world, "slow", 61)
    world.check(minutes=10)
    assert "transient" not in missing(world.check())


@pytest.mark.parametrize("health", ["UNKNOWN", "UNHEALTHY"])
def test_a_young_broker_that_was_whole_and_hangs_is_not_starting(
    world: HealthWorld, health: str
) -> None:
    gone(world)
    back(world)
    world.check(minutes=10)
    # It was whole ten minutes after its start, and freezes: its task stays as it is.
    world.management.kill_broker(2)
    world.management.pass_time(10)
    world.cloud.running[-1] |= {"health": health}
    assert "transient" not in missing(world.check(minutes=4))


def test_what_ecs_called_healthy_is_not_starting(world: HealthWorld) -> None:
    gone(world)
    task(world, "task-2", 14, "HEALTHY")
    assert "transient" not in missing(world.check())


def test_a_deployment_explains_a_broker_for_half_an_hour(world: HealthWorld) -> None:
    world.check()
    gone(world)
    (deployment,) = world.cloud.brokers["deployments"]
    for minutes in range(0, 60, 5):
        # Another deployment begins every quarter of an hour.
        started = world.clock.at + timedelta(minutes=5 - minutes % 15)
        deployment.update(rollout="IN_PROGRESS", startedAt=started.isoformat())
        report = world.check()
        assert ("BROKER_MISSING" in codes(report)) is (minutes >= 30)


def test_good_news_is_what_is_shown_and_not_what_is_on_its_way(world: HealthWorld) -> None:
    world.check()
    gone(world)
    world.check()
    assert world.check()["notified"] == "DEGRADED"
    task(world, "new", 1)
    assert missing(world.check())["transient"]
    assert world.check()["notified"] == "DEGRADED"
    back(world)
    world.check()
    assert world.check()["notified"] == "HEALTHY"


def test_what_an_earlier_version_wrote_is_read(world: HealthWorld) -> None:
    world.check()
    gone(world)
    world.check()
    record = world.records.find("demo")
    assert record is not None
    assert record.memory.missing.keys() == {"2"}
    assert read_document(as_document(record)) == record
    document = json.loads(as_document(record))
    del document["shown"]
    for name in ("missingSince", "topologyAt", "lost"):
        del document["memory"][name]
    before = read_document(json.dumps(document))
    memory = replace(record.memory, missing={}, topology_at=None, lost={})
    assert before == replace(record, shown=record.confirmed, memory=memory)
