"""Camunda's responses in Camunda's format, written from what the readers returned.

The function inside the VPC reads the brokers; functions outside decide. Between them travels the
documented shape, so that both sides use the same readers. Moments in time stay behind: no decision
needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.camunda.topology import OperationKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.camunda.topology import (
        ClusterConfiguration,
        Member,
        Operation,
        PlannedChange,
        Replica,
        SeenPartition,
        Topology,
    )


def configuration_payload(configuration: ClusterConfiguration) -> dict[str, Any]:
    """Return what ``read_configuration`` reads, JSON-serialisable."""
    payload: dict[str, Any] = {
        "version": configuration.version,
        "brokers": _members(configuration.members),
    }
    if configuration.tenants:
        payload["physicalTenants"] = list(configuration.tenants)
    last, pending = configuration.last_change, configuration.pending_change
    if last is not None:
        payload["lastChange"] = {"id": last.id, "status": last.status.value}
    if pending is not None:
        payload["pendingChange"] = {
            "id": pending.id,
            "completed": _operations(pending.completed),
            "pending": _operations(pending.pending),
        }
    routing = configuration.routing
    if routing is not None:
        payload["routing"] = {"version": routing.version}
        if routing.active_partitions is not None:
            count = "partitionCount" if routing.settled else "basePartitionCount"
            payload["routing"]["requestHandling"] = {count: routing.active_partitions}
        elif not routing.settled:
            payload["routing"]["requestHandling"] = {}
    return payload


def planned_change_payload(planned: PlannedChange) -> dict[str, Any]:
    """Return what ``read_planned_change`` reads, JSON-serialisable."""
    return {
        "changeId": planned.change_id,
        "currentTopology": _members(planned.current),
        "plannedChanges": _operations(planned.operations),
        "expectedTopology": _members(planned.expected),
    }


def topology_payload(topology: Topology) -> dict[str, Any]:
    """Return what ``read_topology`` reads, JSON-serialisable."""
    return {
        "clusterSize": topology.cluster_size,
        "partitionsCount": topology.partitions_count,
        "replicationFactor": topology.replication_factor,
        "gatewayVersion": topology.gateway_version,
        "brokers": [
            {
                "nodeId": broker.node_id,
                "host": broker.host,
                "port": broker.port,
                "version": broker.version,
                "partitions": [_seen_partition(one) for one in broker.partitions],
            }
            for broker in topology.brokers
        ],
    }


def _seen_partition(one: SeenPartition) -> dict[str, Any]:
    payload = {"partitionId": one.id, "role": one.role.value, "health": one.health.value}
    return payload | ({} if one.state is None else {"state": one.state.value.lower()})


def _replica(one: Replica) -> dict[str, Any]:
    """Return a replica; of its exporters only that there is none, as decisions need no more."""
    payload = {"id": one.partition, "state": one.state.value, "priority": one.priority}
    return payload | ({} if one.exports else {"config": {"exporting": {"exporters": []}}})


def _members(members: Sequence[Member]) -> list[dict[str, Any]]:
    return [
        {
            "id": member.id,
            "state": member.state.value,
            "version": member.version,
            "partitions": [_replica(one) for one in member.partitions],
        }
        for member in members
    ]


def _operations(operations: Sequence[Operation]) -> list[dict[str, Any]]:
    return [_operation(operation) for operation in operations]


def _operation(operation: Operation) -> dict[str, Any]:
    forced = operation.kind is OperationKind.BROKER_FORCE_REMOVE
    return {
        # Printed by Camunda as a plain removal; the list has the removed ones.
        "operation": OperationKind.BROKER_REMOVE.value if forced else operation.name,
        "brokerId": operation.broker,
        "partitionId": operation.partition,
        "priority": operation.priority,
        "brokers": list(operation.brokers),
    }
