"""Reading what a cluster says of itself, and judging whether it is formed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifecycle.camunda.topology import (
    MOST_MEMBERS,
    ChangeStatus,
    ClusterConfiguration,
    Health,
    LastChange,
    MemberState,
    OperationKind,
    PendingChange,
    ReplicaState,
    Role,
    change_status,
    formation,
    read_configuration,
    read_planned_change,
    read_topology,
    topology_table,
)
from lifecycle.errors import InvalidResponse

pytestmark = pytest.mark.unit


def broker(node: int, partitions: dict[int, str], health: str = "healthy") -> dict[str, Any]:
    return {
        "nodeId": node,
        "host": f"10.0.0.{10 + node}",
        "port": 26501,
        "version": "8.9.16",
        "partitions": [
            {"partitionId": partition, "role": role, "health": health}
            for partition, role in partitions.items()
        ],
    }


def three() -> list[dict[str, Any]]:
    return [
        broker(node, {p: "leader" if p == node + 1 else "follower" for p in (1, 2, 3)})
        for node in range(3)
    ]


def judged(brokers: list[dict[str, Any]], configuration: object = None) -> tuple[str, ...]:
    result = formation(
        None if configuration is None else read_configuration(configuration),
        read_topology({"brokers": brokers}),
        brokers=3,
        partitions=3,
        replication_factor=3,
    )
    assert result.formed == (not result.problems)
    return result.problems


class TestConfiguration:
    def test_absent_fields_are_none(self) -> None:
        configuration = read_configuration({"brokers": [{"id": 0}]})

        assert configuration == ClusterConfiguration(version=None, members=configuration.members)
        (member,) = configuration.members
        assert (member.id, member.state, member.version, member.partitions) == (
            0,
            MemberState.UNKNOWN,
            None,
            (),
        )

    def test_members_and_partitions_are_ordered(self) -> None:
        configuration = read_configuration(
            {
                "brokers": [
                    {"id": 2},
                    {"id": "zone-a_0"},
                    {"id": "10"},
                    {"id": 0, "partitions": [{"id": 3}, {"id": 1}]},
                ]
            }
        )

        assert configuration.broker_ids == (0, 2, 10, "zone-a_0")
        assert [replica.partition for replica in configuration.members[0].partitions] == [1, 3]

    def test_unknown_values_of_newer_versions(self) -> None:
        configuration = read_configuration(
            {
                "version": 9,
                "brokers": [
                    {"id": 0, "state": "HIBERNATING", "partitions": [{"id": 1, "state": "?"}]}
                ],
                "lastChange": {"id": 4, "status": "REVERTED"},
                "pendingChange": {"id": 5, "pending": [{"operation": "PARTITION_PROMOTE"}]},
                "surprise": True,
            }
        )

        assert configuration.members[0].state is MemberState.UNKNOWN
        assert configuration.members[0].partitions[0].state is ReplicaState.UNKNOWN
        assert configuration.last_change == LastChange(4, ChangeStatus.UNKNOWN)
        assert configuration.pending_change is not None
        (operation,) = configuration.pending_change.pending
        assert (operation.kind, operation.name) == (OperationKind.UNKNOWN, "PARTITION_PROMOTE")

    def test_forced_removal_names_the_executor_as_broker(self) -> None:
        plan = read_planned_change(
            {
                "changeId": 14,
                "currentTopology": [],
                "expectedTopology": [],
                "plannedChanges": [
                    {
                        "operation": "PARTITION_FORCE_RECONFIGURE",
                        "brokerId": 1,
                        "partitionId": 1,
                        "brokers": [1, 0],
                    },
                    {"operation": "BROKER_REMOVE", "brokerId": 0, "brokers": [2]},
                    {"operation": "BROKER_REMOVE", "brokerId": 3, "brokers": []},
                ],
            }
        )

        reconfigure, forced, normal = plan.operations
        assert (reconfigure.broker, reconfigure.brokers) == (1, (1, 0))
        assert (forced.kind, forced.broker) == (OperationKind.BROKER_FORCE_REMOVE, 2)
        assert str(forced) == "BROKER_FORCE_REMOVE broker 2"
        assert (normal.kind, normal.broker) == (OperationKind.BROKER_REMOVE, 3)

    @pytest.mark.parametrize(
        ("routing", "active"),
        [
            ({"version": 1, "activePartitions": [1, 2, 3]}, 3),
            ({"version": 1, "requestHandling": {"partitionCount": 3}}, 3),
            (
                {
                    "version": 1,
                    "requestHandling": {
                        "basePartitionCount": 3,
                        "additionalActivePartitions": [5],
                        "inactivePartitions": [4],
                    },
                },
                4,
            ),
            ({"version": 1}, None),
        ],
    )
    def test_routing(self, routing: dict[str, Any], active: int | None) -> None:
        configuration = read_configuration({"brokers": [], "routing": routing})

        assert configuration.routing is not None
        assert configuration.routing.active_partitions == active

    @pytest.mark.parametrize(
        ("payload", "field"),
        [
            (None, "the cluster configuration"),
            ({}, "brokers"),
            ({"brokers": [7]}, "brokers[0]"),
            ({"brokers": [{}]}, "brokers[0].id"),
            ({"brokers": [{"id": True}]}, "brokers[0].id"),
            ({"brokers": [{"id": 1}, {"id": "1"}]}, "brokers lists 1 more than once"),
            ({"brokers": [{"id": 1, "partitions": [{"id": None}]}]}, "brokers[0].partitions[0].id"),
            ({"brokers": [], "lastChange": {}}, "lastChange.id"),
            ({"brokers": [], "pendingChange": {"id": "x"}}, "pendingChange.id"),
            ({"brokers": [], "pendingChange": {"id": 1, "pending": 3}}, "pendingChange.pending"),
        ],
    )
    def test_what_cannot_be_identified_is_refused(self, payload: object, field: str) -> None:
        with pytest.raises(InvalidResponse) as refused:
            read_configuration(payload)

        assert refused.value.message.startswith(field)


class TestTopology:
    def test_roles_and_healths_in_any_case(self) -> None:
        topology = read_topology({"brokers": [broker(0, {1: "LEADER", 2: "odd"}, "Healthy")]})

        first, second = topology.brokers[0].partitions
        assert (first.role, first.health) == (Role.LEADER, Health.HEALTHY)
        assert second.role is Role.UNKNOWN

    def test_nothing_is_known_yet(self) -> None:
        topology = read_topology({"brokers": None, "clusterSize": None})

        assert (topology.brokers, topology.cluster_size) == ((), None)

    def test_table(self) -> None:
        rows = topology_table(read_topology({"brokers": list(reversed(three()))}))

        assert json.loads(json.dumps(rows)) == rows
        assert [row["broker"] for row in rows] == [0, 1, 2]
        assert rows[0] == {
            "broker": 0,
            "host": "10.0.0.10",
            "version": "8.9.16",
            "partitions": {
                "1": {"role": "leader", "health": "healthy"},
                "2": {"role": "follower", "health": "healthy"},
                "3": {"role": "follower", "health": "healthy"},
            },
        }


class TestFormation:
    def test_formed(self) -> None:
        assert judged(three()) == ()

    def test_nothing_seen(self) -> None:
        result = formation(None, None, brokers=3, partitions=3, replication_factor=3)

        assert (result.formed, result.brokers_joined, result.partitions_ready) == (False, 0, 0)
        assert result.problems

    def test_without_the_configuration_a_broker_cannot_be_left_out(self) -> None:
        seen = read_topology({"brokers": three()})
        result = formation(None, seen, brokers=3, partitions=3, replication_factor=3, without=0)

        assert (result.formed, result.brokers_joined, result.partitions_ready) == (False, 0, 0)
        assert "which was not read" in result.problems[0]

    def test_counts(self) -> None:
        result = formation(
            None,
            read_topology({"brokers": three()[:2]}),
            brokers=3,
            partitions=3,
            replication_factor=2,
        )

        assert (result.brokers_joined, result.partitions_ready) == (2, 2)
        assert result.problems == (
            "broker 2 is not in the topology",
            "partition 3 has no leader",
        )

    def test_two_leaders(self) -> None:
        brokers = three()
        brokers[2]["partitions"][0]["role"] = "leader"

        assert judged(brokers) == ("partition 1 has leaders [0, 2]",)

    @pytest.mark.parametrize("health", ["unhealthy", "dead", "new"])
    @pytest.mark.parametrize("node", [0, 1])
    def test_an_unhealthy_replica(self, node: int, health: str) -> None:
        brokers = three()
        brokers[node]["partitions"][0]["health"] = health

        role, seen = ("leader", "follower")[node], "unknown" if health == "new" else health
        assert judged(brokers) == (f"partition 1 is not healthy on broker {node} ({role}, {seen})",)

    def test_a_healthy_replica_that_neither_leads_nor_follows(self) -> None:
        brokers = three()
        brokers[1]["partitions"][0]["role"] = "inactive"

        assert judged(brokers) == ("partition 1 is not healthy on broker 1 (inactive, healthy)",)

    def test_a_missing_replica(self) -> None:
        brokers = three()
        del brokers[2]["partitions"][0]

        assert judged(brokers) == ("partition 1 has 2 of 3 replicas",)

    def test_a_replica_too_many(self) -> None:
        brokers = [*three(), broker(3, {1: "follower"})]

        assert judged(brokers) == ("partition 1 has 4 of 3 replicas",)

    def test_a_spare_broker_is_no_problem(self) -> None:
        assert judged([*three(), broker(3, {})]) == ()

    def test_the_configuration_must_agree(self) -> None:
        members = [{"id": 0, "state": "ACTIVE"}, {"id": 1, "state": "JOINING"}]

        assert judged(three(), {"brokers": members}) == (
            "broker 1 is JOINING in the cluster configuration",
            "broker 2 is not in the cluster configuration",
        )


class TestChangeStatus:
    @pytest.mark.parametrize(
        ("last", "pending", "expected"),
        [
            (None, None, ChangeStatus.UNKNOWN),
            ((5, ChangeStatus.COMPLETED), None, ChangeStatus.COMPLETED),
            ((5, ChangeStatus.FAILED), None, ChangeStatus.FAILED),
            ((5, ChangeStatus.CANCELLED), 8, ChangeStatus.CANCELLED),
            ((3, ChangeStatus.COMPLETED), 5, ChangeStatus.PENDING),
            (None, 5, ChangeStatus.PENDING),
            ((7, ChangeStatus.COMPLETED), None, ChangeStatus.OUTDATED),
            ((3, ChangeStatus.COMPLETED), None, ChangeStatus.UNKNOWN),
            (None, 8, ChangeStatus.UNKNOWN),
        ],
    )
    def test_of_change_5(
        self, last: tuple[int, ChangeStatus] | None, pending: int | None, expected: ChangeStatus
    ) -> None:
        configuration = ClusterConfiguration(
            version=1,
            members=(),
            last_change=last and LastChange(*last),
            pending_change=None if pending is None else PendingChange(pending, (), ()),
        )

        assert change_status(configuration, 5) is expected

    @pytest.mark.parametrize("said", ["PENDING", "OUTDATED", "IN_PROGRESS"])
    def test_camunda_cannot_say_our_words(self, said: str) -> None:
        configuration = read_configuration({"brokers": [], "lastChange": {"id": 5, "status": said}})

        assert change_status(configuration, 5) is ChangeStatus.UNKNOWN


@pytest.mark.parametrize("many", [MOST_MEMBERS + 1, 60_000])
def test_more_members_than_any_cluster_has_are_refused(many: int) -> None:
    """Each would be queried in a thread of its own."""
    brokers = [{"nodeId": n, "host": f"10.0.0.{n}", "partitions": []} for n in range(many)]
    with pytest.raises(InvalidResponse, match=f"brokers lists {many}, more than {MOST_MEMBERS}"):
        read_topology({"brokers": brokers})
    members = [{"id": n, "state": "ACTIVE", "partitions": []} for n in range(many)]
    with pytest.raises(InvalidResponse, match="more than"):
        read_configuration({"version": 1, "brokers": members})
    partitions = [{"partitionId": n, "role": "leader", "health": "healthy"} for n in range(many)]
    if many > 1000:
        with pytest.raises(InvalidResponse, match="more than"):
            read_topology({"brokers": [{"nodeId": 0, "partitions": partitions}]})
