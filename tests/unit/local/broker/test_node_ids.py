"""Leases in S3: who gets which, what a release, a death and a change of size do to them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.broker.node_ids import LeaseLost, NodeIds

BUCKET = "leases"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="eu-central-1")
        client.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield client


def node(s3: Any, clock: Clock, task: str, size: int = 3) -> NodeIds:
    ids = NodeIds(
        s3, BUCKET, cluster_size=size, lease_seconds=15, task_id=task, clock=clock, max_delay=0.01
    )
    ids.initialise()
    return ids


def stopped() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def taken(ids: NodeIds) -> tuple[int, int, str]:
    lease = ids.acquire(stopped())
    assert lease is not None
    return lease.node_id, lease.version, lease.previous


def stored(s3: Any, node_id: int) -> tuple[Any, dict[str, str]]:
    found = s3.get_object(Bucket=BUCKET, Key=f"{node_id}.json")
    text = found["Body"].read()
    return (json.loads(text) if text else None), found["Metadata"]


def test_the_first_start_makes_marker_and_free_leases_once(s3: Any, clock: Clock) -> None:
    node(s3, clock, "a")
    node(s3, clock, "b", size=5)

    keys = {one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert keys == {"0.json", "1.json", "2.json", "node-ids-initialized"}
    assert stored(s3, 0)[0] is None


def test_a_lease_holds_what_camunda_writes(s3: Any, clock: Clock) -> None:
    ids = node(s3, clock, "task-a")
    taken(ids)
    ids.renew({1: 7})

    body, metadata = stored(s3, 0)
    assert body == {
        "taskId": "task-a",
        "timestamp": 1_000_015_000,
        "nodeInstance": {"id": 0, "version": 1},
        "knownVersionMappings": {"mappingsByNodeId": {"0": 1, "1": 7}},
    }
    assert metadata == {"taskid": "task-a", "version": "1", "acquirable": "true"}


def test_tasks_that_race_get_different_ids_and_one_too_many_gets_none(
    s3: Any, clock: Clock
) -> None:
    tasks = [node(s3, clock, str(number)) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        leases = list(pool.map(lambda ids: ids.acquire(stopped()), tasks))

    assert sorted(one.node_id for one in leases if one) == [0, 1, 2]
    assert leases.count(None) == 1


def test_a_released_id_is_free_at_once_and_its_version_grows(s3: Any, clock: Clock) -> None:
    first = node(s3, clock, "a")
    taken(first)
    first.release()
    assert stored(s3, 0) == (None, {"taskid": "", "version": "1", "acquirable": "true"})

    assert taken(node(s3, clock, "b")) == (0, 2, "graceful")
    assert not first.valid()


def test_the_id_of_a_killed_task_is_free_when_its_lease_has_expired(s3: Any, clock: Clock) -> None:
    taken(node(s3, clock, "a", size=1))
    assert node(s3, clock, "b").acquire(stopped()) is None
    clock.now += 15.001
    assert taken(node(s3, clock, "b")) == (0, 2, "killed")


def test_a_lease_that_somebody_else_took_cannot_be_renewed(s3: Any, clock: Clock) -> None:
    first = node(s3, clock, "a", size=1)
    taken(first)
    clock.now += 15.001
    assert not first.valid()
    taken(node(s3, clock, "b"))
    clock.now -= 10

    with pytest.raises(LeaseLost):
        first.renew({})
    assert not first.valid()


def test_a_lease_is_not_renewed_after_its_end(s3: Any, clock: Clock) -> None:
    ids = node(s3, clock, "a")
    taken(ids)
    clock.now += 16

    with pytest.raises(LeaseLost, match="expired"):
        ids.renew({})


def test_others_must_know_a_version_before_data_is_opened(s3: Any, clock: Clock) -> None:
    first, other = node(s3, clock, "a", size=2), node(s3, clock, "b")
    taken(first)
    taken(other)
    clock.now += 14
    other.renew({0: 1})
    clock.now += 2
    successor = node(s3, clock, "c")
    assert taken(successor) == (0, 2, "killed")

    assert not successor.others_know()
    other.renew({0: 2})
    assert successor.others_know()
    clock.now += 16
    assert node(s3, clock, "d").acquire(stopped()) is not None, "the others' leases have expired"


def test_scaling_makes_leases_and_takes_them_away(s3: Any, clock: Clock) -> None:
    holders = [node(s3, clock, str(number)) for number in range(4)]
    for ids in holders[:3]:
        taken(ids)
    holders[0].pre_scale(4)
    assert taken(holders[3]) == (3, 1, "graceful")

    holders[0].post_scale(3)
    with pytest.raises(LeaseLost):
        holders[3].renew({})
    assert stored(s3, 3) == (None, {"taskid": "", "version": "1", "acquirable": "false"})
    assert node(s3, clock, "late").acquire(stopped()) is None

    holders[0].pre_scale(4)
    assert taken(node(s3, clock, "again")) == (3, 2, "graceful"), "the version never repeats"
