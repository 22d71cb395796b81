"""What travels out of the VPC is read there as it was read inside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.camunda.payloads import (
    configuration_payload,
    planned_change_payload,
    topology_payload,
)
from lifecycle.camunda.topology import (
    read_configuration,
    read_planned_change,
    read_topology,
)

from tests.fakes.management_simulation import SimulatedCluster

pytestmark = pytest.mark.property


def through_json(payload: Any) -> Any:
    return json.loads(json.dumps(payload))


@given(
    dialect=st.sampled_from(["8.6", "8.9"]),
    start=st.integers(3, 6),
    counts=st.lists(st.tuples(st.integers(3, 7), st.integers(0, 2), st.floats(0, 6)), max_size=4),
)
def test_configuration_plan_and_topology_arrive_as_they_were(
    dialect: Any, start: int, counts: list[tuple[int, int, float]]
) -> None:
    cluster, now = SimulatedCluster(start, 4, 3, dialect=dialect), 0.0
    for count, more, seconds in counts:
        if cluster.pending is None:
            body: dict[str, Any] = {"brokers": {"count": count}}
            if dialect != "8.6":
                body["partitions"] = {"count": cluster.partitions + more}
            planned = read_planned_change(cluster.patch(body, now=now))
            again = read_planned_change(through_json(planned_change_payload(planned)))
            assert again.operations == planned.operations
            assert [one.partitions for one in again.expected] == [
                one.partitions for one in planned.expected
            ]
        end = now + seconds
        while now < end:
            now += 0.2
            for node in range(cluster.leases if dialect == "8.9" else 7):
                cluster.beat(node, f"10.0.0.{node}", 0.0, now)
            cluster.advance(now)
        seen = read_configuration(cluster.configuration())
        assert read_configuration(through_json(configuration_payload(seen))) == seen
        topology = read_topology(cluster.topology())
        assert read_topology(through_json(topology_payload(topology))) == topology


def test_a_forced_removal_keeps_its_meaning() -> None:
    raw = {
        "brokers": [],
        "pendingChange": {
            "id": 9,
            "completed": [],
            "pending": [{"operation": "BROKER_REMOVE", "brokerId": 0, "brokers": [2, 3]}],
        },
    }
    seen = read_configuration(raw)
    again = read_configuration(through_json(configuration_payload(seen)))
    assert again.pending_change is not None
    assert seen.pending_change is not None
    step, arrived = seen.pending_change.pending[0], again.pending_change.pending[0]
    assert (arrived.kind, arrived.broker, arrived.brokers) == (step.kind, 2, (2, 3))
