"""Leases in S3: who gets which, what a release, a death and a change of size do to them."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from local.broker.node_ids import LeaseLost, NodeIds

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.unit

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


class OneByOne:
    """S3 does one request after the other on an object, which moto does not promise."""

    def __init__(self, s3: Any) -> None:
        self._s3, self._turn = s3, threading.Lock()

    def __getattr__(self, name: str) -> Any:
        def call(**given: Any) -> Any:
            with self._turn:
                return getattr(self._s3, name)(**given)

        return call


@pytest.mark.parametrize("size", [1, 7, 8])
def test_tasks_that_race_get_different_ids_and_those_too_many_none(
    s3: Any, clock: Clock, size: int
) -> None:
    s3 = OneByOne(s3)
    tasks = [node(s3, clock, str(number), size) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        # A task gives up when it lost all of a round, so one more round shows what is left.
        leases = [one for one in pool.map(lambda ids: ids.acquire(stopped()), tasks) if one]
    leases += [one for ids in tasks if not ids.valid() and (one := ids.acquire(stopped()))]

    assert sorted(one.node_id for one in leases) == list(range(size))
    assert {one.task_id for one in leases} <= {str(number) for number in range(8)}
    assert len({one.task_id for one in leases}) == size


@given(steps=st.lists(st.sampled_from(["start", "stop", "renew", "wait"]), max_size=25))
@settings(max_examples=15, deadline=None)
def test_an_id_has_one_holder_and_its_version_always_grows(steps: list[str]) -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        clock, held, seen = Clock(), dict[int, NodeIds](), dict[int, int]()
        for number, step in enumerate(steps):
            match step:
                case "start":
                    ids = node(s3, clock, str(number))
                    lease = ids.acquire(stopped())
                    assert (lease is None) == (len(seen_valid(held)) == 3)
                    if lease is not None:
                        assert not (lease.node_id in held and held[lease.node_id].valid())
                        assert lease.version > seen.get(lease.node_id, 0)
                        held[lease.node_id], seen[lease.node_id] = ids, lease.version
                case "stop" if held:
                    held.pop(min(held)).release()
                case "renew" if seen_valid(held):
                    # The others are killed: nobody renews them.
                    held[min(seen_valid(held))].renew({})
                case "wait":
                    clock.now += 8


def seen_valid(held: dict[int, NodeIds]) -> list[int]:
    return [node_id for node_id, ids in held.items() if ids.valid()]


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


def test_a_holder_that_renews_in_between_does_not_keep_its_lease(s3: Any, clock: Clock) -> None:
    holder = node(s3, clock, "a", size=1)
    taken(holder)

    class RenewsFirst:
        def __init__(self) -> None:
            self.left = 2

        def __getattr__(self, name: str) -> Any:
            if name == "put_object" and self.left:
                self.left -= 1
                holder.renew({})
            return getattr(s3, name)

    other = node(s3, clock, "b", size=1)
    other._s3 = RenewsFirst()
    other.post_scale(0)

    assert stored(s3, 0) == (None, {"taskid": "", "version": "1", "acquirable": "false"})
    with pytest.raises(LeaseLost):
        holder.renew({})


def test_a_released_lease_is_neither_renewed_nor_reported_as_lost(s3: Any, clock: Clock) -> None:
    ids = node(s3, clock, "a", size=1)
    taken(ids)
    ids.release()
    ids.renew({})
    ids.release()

    assert stored(s3, 0)[0] is None
    assert not ids.valid()


def test_any_failure_of_a_renewal_loses_the_lease_and_of_a_try_only_the_try(
    s3: Any, clock: Clock
) -> None:
    class Denied:
        def __getattr__(self, name: str) -> Any:
            return refuse if name == "put_object" else getattr(s3, name)

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")

    ids, other = node(s3, clock, "a", size=1), node(s3, clock, "b", size=1)
    ids._s3 = other._s3 = Denied()
    assert ids.acquire(stopped()) is None
    ids._s3 = s3
    taken(ids)
    ids._s3 = Denied()
    with pytest.raises(LeaseLost, match="SlowDown"):
        ids.renew({})
    assert not ids.valid()
