"""Laws of the readers and of the decisions on what they give."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.camunda.topology import (
    ChangeStatus,
    ClusterConfiguration,
    Formation,
    LastChange,
    PendingChange,
    change_status,
    formation,
    read_configuration,
    read_planned_change,
    read_topology,
    topology_table,
)
from lifecycle.errors import InvalidResponse

from tests.fakes.management_simulation import Dialect, SimulatedCluster

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

pytestmark = pytest.mark.property

FIELDS = [
    *("brokers", "id", "nodeId", "partitions", "partitionId", "state", "role", "health", "host"),
    *("version", "lastChange", "pendingChange", "status", "pending", "completed", "operation"),
    *("brokerId", "routing", "requestHandling", "partitionCount", "basePartitionCount"),
    *("activePartitions", "changeId", "plannedChanges", "currentTopology", "expectedTopology"),
    *("lastUpdatedAt", "clusterSize", "priority"),
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ACTIVE", "1", "-3", "leader", "0000-01-01T00:00:00Z", "2026-02-30"])
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=30,
)


@given(documents)
def test_readers_read_or_refuse(document: object) -> None:
    for read in (read_configuration, read_planned_change, read_topology):
        try:
            answer = read(document)
        except InvalidResponse:
            continue
        assert read(document) == answer


@st.composite
def damaged(draw: st.DrawFn) -> object:
    """Real answers with one value, anywhere, replaced."""
    cluster = SimulatedCluster(3, 3, 3)
    cluster.beat(0, "10.0.0.10", 0, 0)
    payload = draw(
        st.sampled_from(
            [
                cluster.patch({"brokers": {"count": 5}}, now=1),
                cluster.configuration(),
                cluster.topology(),
            ]
        )
    )
    document: Any = json.loads(json.dumps(payload))
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            place = inner
            continue
        place[key] = draw(scalars | documents)
        return document


@given(damaged())
def test_readers_read_or_refuse_damaged_answers(document: object) -> None:
    for read in (read_configuration, read_planned_change, read_topology):
        try:
            read(document)
        except InvalidResponse:
            continue


@st.composite
def topologies(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "brokers": [
            {
                "nodeId": node,
                "partitions": [
                    {
                        "partitionId": partition,
                        "role": draw(st.sampled_from(["leader", "follower", "inactive", "new"])),
                        "health": draw(st.sampled_from(["healthy", "unhealthy", "dead"])),
                    }
                    for partition in draw(st.sets(st.integers(1, 4)))
                ],
            }
            for node in draw(st.sets(st.integers(0, 4)))
        ]
    }


@given(topologies(), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.randoms())
def test_formation_counts_and_does_not_depend_on_order(
    payload: dict[str, Any],
    brokers: int,
    partitions: int,
    factor: int,
    chance: random.Random,
) -> None:
    def judged() -> Formation:
        return formation(
            None,
            read_topology(payload),
            brokers=brokers,
            partitions=partitions,
            replication_factor=factor,
        )

    result = judged()

    assert result.formed == (not result.problems)
    assert 0 <= result.brokers_joined <= brokers
    assert 0 <= result.partitions_ready <= partitions
    assert result.formed == (
        result.brokers_joined == brokers and result.partitions_ready == partitions
    )
    chance.shuffle(payload["brokers"])
    for broker in payload["brokers"]:
        chance.shuffle(broker["partitions"])
    assert judged() == result
    json.dumps(topology_table(read_topology(payload)))


@st.composite
def formed(draw: st.DrawFn) -> tuple[dict[str, Any], Callable[[], Formation]]:
    """A cluster of any shape that formed by itself: its topology, and what is judged of that."""
    brokers = draw(st.integers(1, 6))
    factor = draw(st.integers(1, brokers))
    partitions = draw(st.integers(1, 8))
    cluster = SimulatedCluster(brokers, partitions, factor)
    for now in (0.0, 2.0):
        for node in range(brokers):
            cluster.beat(node, "host", 0.0, now)
        cluster.advance(now)
    payload = cluster.topology()

    def judged() -> Formation:
        return formation(
            None,
            read_topology(payload),
            brokers=brokers,
            partitions=partitions,
            replication_factor=factor,
        )

    return payload, judged


@given(formed(), st.data())
def test_any_single_loss_unforms_a_cluster(
    case: tuple[dict[str, Any], Callable[[], Formation]], data: st.DataObject
) -> None:
    payload, judged = case
    assert judged().formed

    index = data.draw(st.integers(0, len(payload["brokers"]) - 1))
    broker = payload["brokers"][index]
    loss = data.draw(st.sampled_from(["broker", "replica", "health", "role"]))
    if loss == "broker" or not broker["partitions"]:
        del payload["brokers"][index]
    elif loss == "replica":
        broker["partitions"].pop()
    elif loss == "health":
        broker["partitions"][0]["health"] = "unhealthy"
    else:
        role = broker["partitions"][0]["role"]
        broker["partitions"][0]["role"] = "follower" if role == "leader" else "leader"

    assert not judged().formed


ended = st.sampled_from([ChangeStatus.COMPLETED, ChangeStatus.FAILED, ChangeStatus.CANCELLED])


@given(
    st.none() | st.tuples(st.integers(0, 6), ended),
    st.none() | st.integers(0, 6),
    st.integers(0, 6),
)
def test_change_status_is_what_the_configuration_says(
    last: tuple[int, ChangeStatus] | None, pending: int | None, change: int
) -> None:
    status = change_status(
        ClusterConfiguration(
            version=None,
            members=(),
            last_change=last and LastChange(*last),
            pending_change=None if pending is None else PendingChange(pending, (), ()),
        ),
        change,
    )

    ended_here = last is not None and last[0] == change
    assert (status in {ChangeStatus.COMPLETED, ChangeStatus.FAILED, ChangeStatus.CANCELLED}) == (
        ended_here
    )
    if status is ChangeStatus.PENDING:
        assert pending == change
    if status is ChangeStatus.OUTDATED:
        assert last is not None
        assert last[0] > change
    if last is None and pending is None:
        assert status is ChangeStatus.UNKNOWN


@given(st.integers(1, 5), st.integers(1, 7), st.lists(st.integers(1, 7), max_size=4), st.data())
def test_every_change_ends_as_its_plan_expected(
    brokers: int, partitions: int, targets: list[int], data: st.DataObject
) -> None:
    factor = data.draw(st.integers(1, brokers))
    dialects: tuple[Dialect, ...] = ("8.6", "8.9")
    dialect = data.draw(st.sampled_from(dialects))
    cluster = SimulatedCluster(brokers, partitions, factor, dialect=dialect, step_seconds=0.1)
    now = 0.0
    for target in (count for count in targets if count >= factor):
        plan = read_planned_change(cluster.patch({"brokers": {"count": target}}, now=now))
        for _ in range(400):
            for node in range(8):
                cluster.beat(node, "host", 0.0, now)
            cluster.advance(now)
            now += 0.1
        configuration = read_configuration(cluster.configuration())
        assert configuration.pending_change is None
        assert configuration.broker_ids == tuple(range(target))
        assert [(m.id, m.version, m.partitions) for m in configuration.members] == [
            (m.id, m.version, m.partitions) for m in plan.expected
        ]
        if not plan.is_noop:
            assert change_status(configuration, plan.change_id) is ChangeStatus.COMPLETED
        topology = read_topology(cluster.topology())
        assert formation(
            configuration,
            topology,
            brokers=target,
            partitions=partitions,
            replication_factor=factor,
        ).formed
