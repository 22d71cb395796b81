"""A second opinion: what each gateway says of the topology."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from lifecycle.camunda.gateways import disagreements, gateways_payload, read_gateways
from lifecycle.camunda.payloads import topology_payload
from lifecycle.camunda.topology import read_topology
from lifecycle.errors import ManagementUnavailable

from tests.support.health import ADMIN, HealthWorld, codes

SPLIT = "10.0.0.12"


@pytest.fixture
def world() -> HealthWorld:
    return HealthWorld()


def view(world: HealthWorld) -> dict[str, Any]:
    return copy.deepcopy(topology_payload(world.management.topology(ADMIN)))


def other_leader(world: HealthWorld) -> dict[str, Any]:
    told = view(world)
    for broker in told["brokers"]:
        for one in broker["partitions"]:
            if one["partitionId"] == 2:
                one["role"] = "leader" if broker["nodeId"] == 2 else "follower"
    leads = [b for b in view(world)["brokers"] if b["partitions"][1]["role"] == "leader"]
    assert leads[0]["nodeId"] != 2
    return told


def alone(world: HealthWorld) -> dict[str, Any]:
    told = view(world)
    told["brokers"] = [one for one in told["brokers"] if one["nodeId"] == 2]
    return told


def fewer_partitions(world: HealthWorld) -> dict[str, Any]:
    told = view(world)
    for broker in told["brokers"]:
        broker["partitions"] = broker["partitions"][:2]
    return told


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        (other_leader, "leader of partition 2: 1 by 10.0.0.10, 10.0.0.11; 2 by 10.0.0.12"),
        (alone, "brokers: 0, 1, 2 by 10.0.0.10, 10.0.0.11; 2 by 10.0.0.12"),
        (fewer_partitions, "partitions: 1, 2, 3 by 10.0.0.10, 10.0.0.11; 1, 2 by 10.0.0.12"),
    ],
)
def test_a_difference_that_lasts_two_checks_is_told_with_who_says_what(
    world: HealthWorld, differs: Any, said: str
) -> None:
    world.management.views[SPLIT] = differs(world)
    assert world.check()["verdict"] == "HEALTHY"
    report = world.check()
    assert (report["verdict"], codes(report)) == ("DEGRADED", {"GATEWAYS_DISAGREE"})
    assert said in report["text"]
    del world.management.views[SPLIT]
    assert world.check()["verdict"] == "HEALTHY"


def test_differences_that_pass_are_no_finding(world: HealthWorld) -> None:
    for _ in range(3):
        world.management.views[SPLIT] = other_leader(world)
        assert world.check()["verdict"] == "HEALTHY"
        del world.management.views[SPLIT]
        assert world.check()["verdict"] == "HEALTHY"


@pytest.mark.parametrize("machine", ["scale", "restart", "provision"])
def test_an_operation_explains_what_a_joining_or_leaving_broker_shows(
    world: HealthWorld, machine: str
) -> None:
    world.hold(machine)
    world.management.views[SPLIT] = alone(world)
    for _ in range(2):
        report = world.check(minutes=1)
    assert (report["verdict"], codes(report)) == ("HEALTHY", set())
    assert codes(report, "INFO") >= {"GATEWAYS_DISAGREE"}


def test_no_gateway_at_all_is_unknown(world: HealthWorld) -> None:
    inside, _ = world.look()
    inside["answers"]["gateways"] = {"views": [], "silent": []}
    assert codes(world.check(inside=inside)) == {"SOURCE_UNAVAILABLE"}


def test_looking_twice_within_seconds_is_not_two_checks(world: HealthWorld) -> None:
    world.scheduled = False
    world.management.views[SPLIT] = other_leader(world)
    for _ in range(5):
        assert world.check(minutes=0.1)["verdict"] == "HEALTHY"


def test_a_broker_that_no_other_sees_is_asked_by_its_discovery_name(world: HealthWorld) -> None:
    hidden = view(world)
    hidden["brokers"] = hidden["brokers"][:2]
    world.management.views["10.0.0.10"] = hidden
    world.management.views["10.0.0.11"] = hidden
    inside, _ = world.look()
    views = inside["answers"]["gateways"]["views"]
    assert [one["gateways"] for one in views] == [["10.0.0.10", "10.0.0.11"], [SPLIT]]


def test_a_gateway_that_says_nothing_for_two_checks_is_unknown(world: HealthWorld) -> None:
    world.management.views[SPLIT] = ManagementUnavailable(f"{SPLIT}:8080 timed out.")
    assert world.check()["verdict"] == "HEALTHY"
    report = world.check()
    assert codes(report) == {"SOURCE_UNAVAILABLE"}
    assert "10.0.0.12:8080 timed out" in report["text"]
    del world.management.views[SPLIT]
    assert world.check()["verdict"] == "HEALTHY"


def test_a_broker_that_hangs_is_told_once(world: HealthWorld) -> None:
    world.management.views[SPLIT] = ManagementUnavailable(f"{SPLIT}:8080 timed out.")
    for _ in range(3):
        inside, _ = world.look()
        inside["answers"]["exporting"][2] |= {"problem": f"{SPLIT}:9600 timed out"}
        report = world.check(inside=inside)
    assert codes(report) == {"BROKER_UNREACHABLE"}


def test_views_are_grouped_and_few() -> None:
    def topology(broker: int) -> Any:
        return read_topology({"brokers": [{"nodeId": broker, "host": f"10.0.0.{broker}"}]})

    payload = gateways_payload({f"10.0.0.{n}": topology(n % 9) for n in range(30)}, {})
    gateways = read_gateways(payload)
    assert len(gateways.views) == 5
    assert len(gateways.views[0].gateways) == 4
    assert disagreements(gateways).keys() == {"brokers"}
