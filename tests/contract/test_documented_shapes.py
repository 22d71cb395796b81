"""Shapes of 8.10 from documents: no recording of them exists, and nothing of it was seen running.

Sources: Camunda's REST API (`GET /v2/topology`, https://docs.camunda.io/docs/apis-tools/orchestration-cluster-api-rest/),
cluster management API (`GET /actuator/cluster`) and its published client libraries for 8.10, which
demand `brokerId` and `state`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from lifecycle.camunda.payloads import configuration_payload, topology_payload
from lifecycle.camunda.topology import (
    ClusterConfiguration,
    ReplicaState,
    formation,
    read_configuration,
    read_topology,
)
from lifecycle.errors import ScalingRefused
from lifecycle.scaling.decision import Memory, decide
from lifecycle.services.brokers import incomplete_change

from tests.support.health import HealthWorld, codes
from tests.support.scaling import ScalingWorld
from tests.unit.test_scaling import observed

pytestmark = pytest.mark.contract


def broker(identity: str, node: int, host: str, roles: list[str], **state: str) -> dict[str, Any]:
    return {
        "brokerId": identity,
        "nodeId": node,
        "host": host,
        "port": 26501,
        "version": "8.10.0",
        "partitions": [
            {"partitionId": number, "role": role, "health": "healthy", "state": "active"} | state
            for number, role in enumerate(roles, 1)
        ],
    }


def topology(*brokers: dict[str, Any]) -> dict[str, Any]:
    return {
        "brokers": list(brokers),
        "clusterId": "c",
        "clusterSize": len(brokers),
        "partitionsCount": 1,
        "replicationFactor": len(brokers),
        "gatewayVersion": "8.10.0",
        "lastCompletedChangeId": "-1",
    }


def test_a_broker_is_identified_by_its_broker_id() -> None:
    seen = read_topology(
        topology(broker("0", 0, "a", ["leader"]), broker("1", 1, "b", ["follower"]))
    )
    assert [one.node_id for one in seen.brokers] == [0, 1]
    assert seen.brokers[0].partitions[0].state is ReplicaState.ACTIVE
    assert formation(None, seen, brokers=2, partitions=1, replication_factor=2).formed


def test_a_node_id_is_unique_only_within_its_zone() -> None:
    seen = read_topology(
        topology(
            broker("eu-west-1_0", 0, "a", ["leader"]),
            broker("eu-central-1_0", 0, "b", ["follower"]),
        )
    )
    assert [one.node_id for one in seen.brokers] == ["eu-central-1_0", "eu-west-1_0"]
    assert read_topology(json.loads(json.dumps(topology_payload(seen)))) == seen


@pytest.mark.parametrize("state", ["joining", "learner", "leaving", "recovering", "unknown"])
def test_only_active_is_done(state: str) -> None:
    seen = read_topology(
        topology(broker("0", 0, "a", ["leader"]), broker("1", 1, "b", ["follower"], state=state))
    )
    told = formation(None, seen, brokers=2, partitions=1, replication_factor=2)
    assert told.problems == (
        f"partition 1 is not healthy on broker 1 (follower, healthy, {state})",
    )


MEMBERS = [
    {"id": node, "state": "ACTIVE", "partitions": [{"id": 1, "state": "ACTIVE", "priority": 1}]}
    for node in range(3)
]


@pytest.mark.parametrize("state", ["JOINING", "LEARNER", "LEAVING", "RECOVERING", "UNKNOWN", "X"])
def test_a_replica_that_is_not_active_is_half_done(state: str) -> None:
    members = json.loads(json.dumps(MEMBERS))
    members[2]["partitions"][0]["state"] = state
    shown = state if state != "X" else "UNKNOWN"
    assert incomplete_change(read_configuration({"brokers": members})) == (
        f"partition 1 is {shown} on broker 2",
    )


@pytest.mark.parametrize("state", ["RECOVERING", "UNKNOWN", "X", None])
def test_a_member_that_is_not_active_is_half_done(state: str | None) -> None:
    members = json.loads(json.dumps(MEMBERS))
    members[2]["state"] = state
    assert len(incomplete_change(read_configuration({"brokers": members}))) == 1


ZONED = {"brokers": [{"id": f"{zone}_0", "state": "ACTIVE"} for zone in ("zone-a", "zone-b")]}
# Several physical tenants: no version, lastChange, pendingChange or routing for all of them.
TENANTS: list[dict[str, Any]] = [
    {"brokers": MEMBERS, "physicalTenants": {"default": {}, "second": {}}},
    {"brokers": MEMBERS, "physicalTenants": ["default", "second"]},
    {"brokers": MEMBERS, "physicalTenants": [{"id": "default"}, {"id": "second"}]},
]


@pytest.mark.parametrize("payload", [ZONED, *TENANTS])
def test_zones_and_several_tenants_are_refused_by_name(payload: dict[str, Any]) -> None:
    configuration = read_configuration(payload)
    told = "zones (zone-a_0, zone-b_0)" if payload is ZONED else "tenants (default, second)"
    assert told in configuration.unsupported
    assert travelled(configuration).unsupported == configuration.unsupported
    seen = observed(ScalingWorld())
    unlike = replace(seen, brokers=replace(seen.brokers, configuration=configuration))
    with pytest.raises(ScalingRefused, match="one zone and one physical tenant: "):
        decide(unlike, 4, Memory())


@pytest.mark.parametrize("tenants", [None, {}, {"default": {}}, ["default"], [], "default", 3])
def test_one_tenant_is_as_none(tenants: object) -> None:
    assert read_configuration({"brokers": MEMBERS, "physicalTenants": tenants}).unsupported == ""


def test_health_tells_them_and_the_rest() -> None:
    world = HealthWorld()
    inside, _ = world.look()
    inside["answers"]["configuration"]["physicalTenants"] = ["default", "second"]
    report = world.check(inside=inside)
    assert (report["verdict"], codes(report)) == ("DEGRADED", {"TOPOLOGY_UNSUPPORTED"})
    assert world.check()["verdict"] == "HEALTHY"


def travelled(configuration: ClusterConfiguration) -> ClusterConfiguration:
    return read_configuration(json.loads(json.dumps(configuration_payload(configuration))))
