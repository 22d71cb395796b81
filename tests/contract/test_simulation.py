"""The simulated cluster plans exactly what a real 8.6.0 planned for the same cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.replay import RECORDINGS
from tests.fakes.management_simulation import Member, Replica, SimulatedCluster

pytestmark = pytest.mark.contract

PLANS: list[dict[str, Any]] = json.loads((RECORDINGS / "plans.json").read_text())


@pytest.mark.parametrize("plan", PLANS, ids=[plan["recording"] for plan in PLANS])
def test_plans_as_recorded(plan: dict[str, Any]) -> None:
    cluster = cluster_of(plan["current"])

    answer = cluster.patch(plan["request"], now=1.0, dry_run=True)

    assert compact(answer["currentTopology"]) == plan["current"]
    assert compact(answer["expectedTopology"]) == plan["expected"]
    planned = [
        [step["operation"], step["brokerId"], step.get("partitionId"), step.get("priority")]
        for step in answer["plannedChanges"]
    ]
    assert in_phases(planned) == in_phases(plan["operations"])


def test_a_dry_run_predicts_what_the_change_does() -> None:
    cluster = SimulatedCluster(3, 6, 3, dialect="8.6")
    for node in range(5):
        cluster.beat(node, "host", 0.0, 0.0)
    expected = cluster.patch({"brokers": {"count": 5}}, now=0.0)["expectedTopology"]

    for tenth in range(200):
        for node in range(5):
            cluster.beat(node, "host", 0.0, tenth / 10)
        cluster.advance(tenth / 10)

    assert cluster.pending is None
    assert compact(cluster.configuration()["brokers"]) == compact(expected)


def in_phases(operations: list[list[Any]]) -> list[list[Any]]:
    """Merge neighbours of one kind for one partition: real brokers order those by a hash."""
    merged: list[list[Any]] = []
    for operation, broker, partition, priority in operations:
        if merged and merged[-1][:2] == [operation, partition]:
            merged[-1][2] = sorted([*merged[-1][2], (broker, priority)])
        else:
            merged.append([operation, partition, [(broker, priority)]])
    return merged


def cluster_of(members: dict[str, Any]) -> SimulatedCluster:
    partitions = {int(number) for member in members.values() for number in member["partitions"]}
    cluster = SimulatedCluster(3, len(partitions), 3, dialect="8.6")
    cluster.members = {
        int(node): Member(
            version=member["version"],
            partitions={
                int(number): Replica("ACTIVE", priority)
                for number, priority in member["partitions"].items()
            },
        )
        for node, member in members.items()
    }
    return cluster


def compact(brokers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        str(broker["id"]): {
            "version": broker["version"],
            "partitions": {str(p["id"]): p["priority"] for p in broker["partitions"]},
        }
        for broker in brokers
    }
