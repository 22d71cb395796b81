"""The rule that limits what goes from state to state, held against what the machines carry."""

from __future__ import annotations

import pytest
from lifecycle.core.parameters import cluster_parameters

from local.aws.strict.state_size import LIMIT, size
from tests.fakes.management_memory import InMemoryManagement
from tests.fakes.management_simulation import SimulatedCluster
from tests.support.health import ADMIN, HealthWorld

FACTOR = 5


def largest() -> HealthWorld:
    """The largest cluster that may be declared, well, while it loses half of its brokers."""
    declared = cluster_parameters()
    brokers, partitions = (int(str(declared[name]["max"])) for name in ("Brokers", "Partitions"))
    world = HealthWorld()
    world.simulated = SimulatedCluster(brokers, partitions, FACTOR, dialect="8.9")
    world.management = InMemoryManagement(
        world.simulated,
        running=range(brokers),
        credentials=ADMIN,
        now=world.clock.now().timestamp(),
    )
    world.management.pass_time(10)
    world.management.scale_brokers(brokers // 2)
    return world


@pytest.mark.parametrize(
    ("value", "count"), [({"a": [1, None]}, 14), ("é", 4), ("x" * 10, 12), ({}, 2)]
)
def test_a_value_is_as_large_as_its_json_in_utf_8(value: object, count: int) -> None:
    assert size(value) == count


def test_the_cluster_is_as_large_as_can_be_declared() -> None:
    inside, _ = largest().look()
    topology = inside["answers"]["topology"]
    assert (topology["clusterSize"], topology["partitionsCount"]) == (30, 200)
    assert topology["replicationFactor"] == FACTOR


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="a health check carries everything that was seen"
)
def test_both_sides_of_the_largest_health_check_fit_into_one_state() -> None:
    world = largest()
    inside, outside = world.look()
    judged = {"subject": world.subject(), "inside": inside, "outside": outside}
    assert size(judged) <= LIMIT
