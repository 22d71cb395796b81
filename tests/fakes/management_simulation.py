"""A simulated cluster that really applies changes: placement, steps, dead brokers, stuck changes.

The in-memory fake asks it. Requests, plans and steps are those of the local broker
(``local/broker/configuration.py``); here processes, their leases and time are simulated.

Times are seconds since the epoch, given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.broker.configuration import (
    BadRequest,
    Configuration,
    Dialect,
    Json,
    Member,
    Refusal,
    Replica,
    Step,
    instant,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BadRequest", "Dialect", "Json", "Member", "Refusal", "Replica", "SimulatedCluster"]

VERSIONS: Mapping[Dialect, str] = {"8.6": "8.6.0-fake", "8.9": "8.9.16-fake", "8.10": "8.10.0-fake"}
COMMAND_PORT = 26501


@dataclass
class Presence:
    """A broker process that others have heard of.

    ``ready`` does not go back, as with a real broker.
    """

    host: str
    started: float
    seen: float
    ready: bool = False


@dataclass
class SimulatedCluster(Configuration):
    """The state that all brokers of one cluster share.

    ``step_seconds``: what one step of a change takes. ``start_seconds``: from the start of a
    process until its partitions are ready. ``failure_seconds``: silence after which a broker is
    taken for dead (15 s on a real cluster). ``backups_end``: when the schedule of backups stopped
    working, in epoch seconds; None while it works. ``lags`` are by partition the positions by which
    the exporter is behind ``processed``.
    """

    step_seconds: float = 0.3
    start_seconds: float = 1.0
    failure_seconds: float = 3.0
    bootstrapped: bool = False
    leases: int = 0
    exporting: str = "EXPORTING"
    processed: int = 0
    lags: dict[int, int] = field(default_factory=dict)
    backups_end: float | None = None
    brokers: dict[int, Presence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leases = self.leases or self.cluster_size
        super().__post_init__()

    # What brokers do

    def beat(self, node: int, host: str, started: float, now: float) -> bool:
        """Say that a broker process lives; ``False`` when it must not take part (yet).

        A first start needs the coordinator (broker 0). From 8.9 on, a process also needs a
        node-id lease, and those come and go with the members: one that has lost its lease exits.
        """
        if self.dialect != "8.6" and node >= self.leases:
            self.brokers.pop(node, None)
            return False
        if not self.bootstrapped and node != 0:
            return False
        self.bootstrapped = True
        known = self.brokers.get(node)
        if known is None or known.started != started:
            self.brokers[node] = Presence(host, started, now)
        else:
            known.seen = now
        return True

    def leave(self, node: int) -> None:
        """Say that a broker process stops in good order."""
        self.brokers.pop(node, None)

    def advance(self, now: float) -> None:
        """Let time pass: forget the silent, make brokers ready, go on with the change."""
        for node in [node for node in self.brokers if not self._lives(node, now)]:
            del self.brokers[node]
        for node, presence in self.brokers.items():
            member = self.members.get(node)
            if (
                member is not None
                and now - presence.started >= self.start_seconds
                and any(replica.state == "ACTIVE" for replica in member.partitions.values())
            ):
                presence.ready = True
        self._go_on(now)

    def coordinator_lives(self, now: float) -> bool:
        """Tell whether the coordinator can be asked."""
        return self._lives(self.coordinator(), now)

    # What users ask

    def configuration(self) -> Json:
        """Give the body of ``GET /actuator/cluster``."""
        return self.describe()

    def topology(self) -> Json:
        """Give the body of ``GET /v2/topology``."""
        payload: Json = {
            "brokers": [
                {
                    "nodeId": node,
                    "host": presence.host,
                    "port": COMMAND_PORT,
                    "partitions": self.seen_partitions(node),
                    "version": VERSIONS[self.dialect],
                }
                for node, presence in self.brokers.items()
            ],
            "clusterSize": len(self.members),
            "partitionsCount": self.partitions,
            "replicationFactor": self.replication_factor,
            "gatewayVersion": VERSIONS[self.dialect],
        }
        if self.dialect != "8.6":
            payload["clusterId"] = self.cluster_id
            payload["lastCompletedChangeId"] = str(self.last.id if self.last else -1)
        return payload

    def seen_partitions(self, node: int) -> list[Json]:
        """Give the partitions of a broker as gateways see them."""
        presence, member = self.brokers.get(node), self.members.get(node)
        if presence is None or not presence.ready or member is None:
            return []
        return [
            {
                "partitionId": partition,
                "role": "leader" if self.leader(partition) == node else "follower",
                "health": "healthy" if self.leader(partition) is not None else "unhealthy",
            }
            for partition, replica in sorted(member.partitions.items())
            if replica.state != "JOINING"
        ]

    def partition_states(self, node: int) -> Json:
        """Give the body of ``GET /actuator/partitions`` of one broker."""
        return {
            str(seen["partitionId"]): {
                "role": seen["role"].upper(),
                "processedPosition": self.processed,
                "snapshotId": None,
                "processedPositionInSnapshot": None,
                "streamProcessorPhase": "PROCESSING" if seen["role"] == "leader" else "REPLAY",
                "exporterPhase": self.exporting,
                "exportedPosition": self.processed - self.lags.get(seen["partitionId"], 0),
            }
            for seen in self.seen_partitions(node)
        }

    def backup_states(self, now: float) -> Json:
        """Give the body of ``GET /actuator/backupRuntime/state``: a backup at each full hour."""
        last = now if self.backups_end is None else self.backups_end
        taken = instant(last - last % 3600)
        return {
            "checkpointStates": [],
            "backupStates": [
                {
                    "partitionId": partition + 1,
                    "checkpointId": int(last // 3600),
                    "checkpointType": "SCHEDULED_BACKUP",
                    "checkpointTimestamp": taken,
                    "checkpointPosition": 0,
                    "firstLogPosition": 0,
                }
                for partition in range(self.partitions)
            ],
            "ranges": [],
        }

    def leader(self, partition: int) -> int | None:
        """Give the broker that leads a partition; ``None`` without a majority of its replicas."""
        voters = {
            node: member.partitions[partition].priority
            for node, member in self.members.items()
            if partition in member.partitions and member.partitions[partition].state != "JOINING"
        }
        present = [node for node in voters if node in self.brokers and self.brokers[node].ready]
        if not present or 2 * len(present) <= len(voters):
            return None
        return max(present, key=lambda node: (voters[node], -node))

    # Inside

    def _lives(self, node: int, now: float) -> bool:
        presence = self.brokers.get(node)
        return presence is not None and now - presence.seen < self.failure_seconds

    def _go_on(self, now: float) -> None:
        """Begin and complete steps in order; a broker works on its steps only while it lives."""
        if self.pending is None:
            return
        moment = self.pending.started
        for step in self.pending.steps:
            if step.done is not None:
                moment = step.done
                continue
            worker = self.brokers.get(step.broker)
            if worker is None:
                return
            moment = max(moment, worker.started)
            if step.begun is None:
                if worker.seen < moment:
                    return
                self.begin(step, moment)
            moment += self.step_seconds
            if min(worker.seen, now) < moment:
                return
            self.complete(step, moment)

    def complete(self, step: Step, now: float) -> None:
        """Write that a step is done; leases come and go with the members."""
        if step.operation == "PRE_SCALING":
            self.leases = max(self.leases, len(step.brokers))
        if step.operation == "POST_SCALING":
            self.leases = len(step.brokers)
        super().complete(step, now)
