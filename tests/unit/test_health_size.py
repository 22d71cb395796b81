"""A check of the largest cluster that the template allows, carried by Step Functions."""

from __future__ import annotations

import copy
import json

from lifecycle.camunda.payloads import topology_payload
from lifecycle.health.collect_in_vpc import MOST_RANGES

from tests.fakes.management import InMemoryManagement
from tests.fakes.management_simulation import SimulatedCluster
from tests.support.health import ADMIN, HealthWorld

# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
LIMIT = 256 * 1024


def test_the_largest_cluster_whose_gateways_all_differ_is_carried() -> None:
    world = HealthWorld(
        simulated=SimulatedCluster(
            cluster_size=30, partitions=200, replication_factor=5, dialect="8.10"
        )
    )
    world.management = InMemoryManagement(
        world.simulated, running=range(30), credentials=ADMIN, now=world.clock.now().timestamp()
    )
    world.management.pass_time(10)
    world.outputs |= {"Brokers": "30", "Partitions": "200", "ReplicationFactor": "5"}
    world.management.scale_partitions(230)
    shown = topology_payload(world.management.topology(ADMIN))
    for number, address in enumerate(world.management.addresses()):
        view = copy.deepcopy(shown)
        del view["brokers"][number]
        for broker in view["brokers"]:
            for one in broker["partitions"]:
                one["state"] = "active"
        world.management.views[address] = view
    # Backups that failed again and again leave ranges that have gaps.
    world.management.ranges = 40
    inside, outside = world.carried()
    assert len(inside["answers"]["backups"]["ranges"]["#rows"]) == 200 * MOST_RANGES
    assert inside["answers"]["backups"]["leftOut"] == 200 * (40 - MOST_RANGES)
    assert len(inside["answers"]["gateways"]["views"]["#rows"]) == 5
    carried = json.dumps([inside, outside, world.subject()]).encode()
    assert len(carried) < LIMIT, len(carried)
    report = world.check(inside, outside)
    assert report["verdict"] != "HEALTHY"
    assert len(json.dumps(report).encode()) < LIMIT / 8
