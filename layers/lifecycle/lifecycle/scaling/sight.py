"""What one look sees of brokers and partitions, small enough to be kept for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.camunda.topology import MemberState, ReplicaState

if TYPE_CHECKING:
    from lifecycle.camunda.topology import BrokerId
    from lifecycle.services.brokers import BrokersSeen


def topology_rows(brokers: BrokersSeen) -> list[dict[str, Any]]:
    """Return topology and configuration as one row per broker, JSON-serialisable.

    ``{"broker", "state", "partitions": {"1": {"role", "health", "state"}}}``. Role and health are
    the gateways', states the configuration's; what one of them does not have is absent.
    """
    rows: dict[BrokerId, dict[str, Any]] = {}

    def row(broker: BrokerId) -> dict[str, Any]:
        return rows.setdefault(broker, {"broker": broker, "partitions": {}})

    for member in brokers.configuration.members if brokers.configuration is not None else ():
        found = row(member.id)
        found["state"] = member.state.value
        for replica in member.partitions:
            found["partitions"][str(replica.partition)] = {"state": replica.state.value}
    for broker in brokers.topology.brokers if brokers.topology is not None else ():
        found = row(broker.node_id)
        for seen in broker.partitions:
            known = found["partitions"].setdefault(str(seen.id), {})
            known |= {"role": seen.role.value, "health": seen.health.value}
    return list(rows.values())


def on_the_move(brokers: BrokersSeen) -> bool:
    """Return whether a broker or a replica is in a state in which it comes or goes."""
    members = brokers.configuration.members if brokers.configuration is not None else ()
    return any(
        member.state not in {MemberState.ACTIVE, MemberState.LEFT}
        or any(replica.state is not ReplicaState.ACTIVE for replica in member.partitions)
        for member in members
    )
