"""The rule that limits what goes from state to state, held against what the machines carry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lifecycle.cluster.parameters import cluster_parameters

from local.aws.strict.state_size import LIMIT, size
from tests.fakes.management import InMemoryManagement
from tests.fakes.management_simulation import SimulatedCluster
from tests.support.health import ADMIN, HealthWorld
from tests.support.scaling import ScalingWorld, scale_operation

FACTOR = 5


def most() -> tuple[int, int]:
    """How many brokers and partitions may be declared."""
    declared = cluster_parameters()
    return int(str(declared["Brokers"]["max"])), int(str(declared["Partitions"]["max"]))


def largest() -> HealthWorld:
    """The largest cluster that may be declared, well, while it loses half of its brokers."""
    brokers, partitions = most()
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


def test_both_sides_of_the_largest_health_check_fit_into_one_state() -> None:
    world = largest()
    inside, outside = world.carried()
    judged = {"subject": world.subject(), "inside": inside, "outside": outside}
    assert size(judged) <= LIMIT


@pytest.mark.parametrize("kind", ["brokers", "partitions"])
def test_a_plan_and_the_looks_of_the_largest_scaling_fit_into_one_state(kind: str) -> None:
    brokers, partitions = most()
    start = brokers // 2 if kind == "brokers" else brokers
    held = partitions if kind == "brokers" else partitions // 2
    world = ScalingWorld(start, partitions=held, factor=FACTOR, dialect="8.10")
    assert world.stacks.stack is not None
    parameters = {**world.stacks.stack.parameters, "BrokerMemory": "122880"}
    world.stacks.stack = replace(world.stacks.stack, parameters=parameters)
    requested = {"brokers": (brokers, 0), "partitions": (0, partitions)}[kind]
    plan = world.planner.plan(scale_operation(), requested=requested[0], partitions=requested[1])
    assert plan["plan"]["operationCount"] > len(plan["plan"]["operations"])
    looked = world.observer.look(
        scale_operation(), requested=requested[0], memory={}, sent=None, partitions=requested[1]
    )
    # Variables, arguments and the answer stand beside each other in the state that scales.
    assert size(plan) + size(looked) <= LIMIT / 2
