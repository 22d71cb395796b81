"""What a broker shows of itself and of the cluster: topology, partitions, health groups.

Groups as of 8.9.0 (camunda/camunda PR #48759): liveness and readiness hold `brokerReady` and
`nodeIdProviderReady`. On 8.9 `brokerReady` is a flag that the first Raft role of the partitions
sets, so that a broker without partitions is never ready; 8.10 evaluates what it has now, and a
started broker without partitions is ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.broker.wire import COMMAND_PORT

if TYPE_CHECKING:
    from local.broker.broker import Broker

type Json = dict[str, Any]


def partitions_seen(broker: Broker) -> dict[str, Json]:
    """Give role, health and state of this broker's partitions, as it passes them on.

    One that stops has none any more; it is known until its beat is missed, as was recorded.
    """
    if broker.stopping:
        return {}
    document = broker.configuration
    member = document.members.get(broker.node_id) if document else None
    seen: dict[str, Json] = {}
    for partition, replica in list(broker.replicas.items()):
        held = member.partitions.get(partition) if member else None
        seen[str(partition)] = {
            "role": "leader" if replica.leads else "follower",
            "health": "healthy" if replica.has_leader else "unhealthy",
            "state": held.state.lower() if held else "unknown",
            "term": replica.term,
        }
    for partition, held in member.partitions.items() if member else ():
        if held.state == "RECOVERING" and str(partition) not in seen:
            seen[str(partition)] = {
                "role": "inactive",
                "health": "healthy",
                "state": "recovering",
                "term": 0,
            }
    return seen


def topology(broker: Broker) -> Json:
    """Give the body of `GET /v2/topology`: brokers that live, with their partitions."""
    document = broker.configuration
    newer = broker.settings.dialect == "8.10"
    brokers = []
    for node, peer in broker.members.live().items():
        partitions = []
        for number, seen in sorted(peer.partitions.items(), key=lambda item: int(item[0])):
            leader = broker.members.leader(int(number))
            role = seen["role"]
            if role == "leader" and leader is not None and leader.node_id != node:
                role = "follower"
            shown = {"partitionId": int(number), "role": role, "health": seen["health"]}
            partitions.append(shown | ({"state": seen["state"]} if newer else {}))
        brokers.append(
            {
                "nodeId": node,
                "host": peer.address,
                "port": COMMAND_PORT,
                "partitions": partitions,
                "version": peer.version,
            }
            | ({"brokerId": str(node)} if newer else {})
        )
    last = document.last.id if document and document.last else -1
    return {
        "brokers": brokers,
        "clusterId": document.cluster_id if document else "",
        "clusterSize": len(document.members) if document else 0,
        "partitionsCount": document.partitions if document else 0,
        "replicationFactor": document.replication_factor if document else 0,
        "gatewayVersion": broker.version,
        "lastCompletedChangeId": str(last),
    }


def ready(broker: Broker) -> bool:
    """Whether the broker counts as started with its partitions, by the rules of its version."""
    held = set(broker.replicas)
    if not broker.started:
        return False
    if broker.settings.dialect == "8.10":
        return all(one.has_leader for one in broker.replicas.values())
    return bool(broker.healthy_once) and (broker.ready_once or held <= broker.healthy_once)


def partition_states(broker: Broker) -> Json:
    """Give the body of `GET /actuator/partitions`."""
    return {
        str(partition): {
            "role": "LEADER" if replica.leads else "FOLLOWER",
            "processedPosition": replica.engine.data["position"],
            "snapshotId": None,
            "processedPositionInSnapshot": None,
            "streamProcessorPhase": "PROCESSING" if replica.leads else "REPLAY",
            "exporterPhase": broker.exporting.phase(partition),
            "exportedPosition": broker.exporting.position(partition),
            "health": {"status": "HEALTHY" if replica.has_leader else "UNHEALTHY"},
        }
        for partition, replica in sorted(broker.replicas.items())
    }


def answer(broker: Broker, group: str) -> tuple[int, Json] | None:
    """Give status and body of `GET /actuator/health/{group}`; None for an unknown group."""
    lease = broker.node_ids.valid()
    is_ready = ready(broker)
    whole = bool(broker.replicas) and all(one.has_leader for one in broker.replicas.values())
    components = {
        "brokerReady": "UP" if is_ready else "OUT_OF_SERVICE",
        "brokerStartup": "UP" if broker.started else "DOWN",
        "brokerStatus": "UP" if whole else "DOWN",
        "nodeIdProviderReady": "UP" if lease else "OUT_OF_SERVICE",
    }
    groups = {
        "": tuple(components),
        "liveness": ("brokerReady", "nodeIdProviderReady"),
        "readiness": ("brokerReady", "nodeIdProviderReady"),
        "startup": ("brokerStartup",),
        "status": ("brokerStatus",),
    }
    if group not in groups:
        return None
    shown = {name: {"status": components[name]} for name in groups[group]}
    bad = [one["status"] for one in shown.values() if one["status"] != "UP"]
    status = "DOWN" if "DOWN" in bad else bad[0] if bad else "UP"
    body: Json = {"status": status}
    # `management.endpoint.health.group.{status,startup}.show-components` is `never`.
    if group not in ("status", "startup"):
        body["components"] = shown
    if not group:
        body["groups"] = [name for name in groups if name]
    return (503 if bad else 200), body
