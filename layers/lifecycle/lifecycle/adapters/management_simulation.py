"""A simulated cluster that really applies changes: placement, steps, dead brokers, stuck changes.

It is what the in-memory twin and the fake broker processes have in common. It follows what was
recorded from Camunda 8.6.0 and, for dialect 8.9, Camunda's source (``PRE_SCALING`` and
``POST_SCALING`` around a change of members, node-id leases, ``clusterId``, ``routing``).

Times are seconds since the epoch, given by the caller. What is not simulated is refused with 501
and says so: partition scaling, forced removal, requests for single brokers or partitions.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

type Dialect = Literal["8.6", "8.9"]
type Json = dict[str, Any]

VERSIONS: Mapping[Dialect, str] = {"8.6": "8.6.0-fake", "8.9": "8.9.16-fake"}
COMMAND_PORT = 26501


class BadRequest(Exception):
    """The body is not of the type that the endpoint takes."""


class Refusal(Exception):
    """An answer that is not a success: HTTP status and Camunda's message."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(f"{status}: {message}")


@dataclass
class Replica:
    """A partition on a member."""

    state: str
    priority: int


@dataclass
class Member:
    """A broker in the configuration; partitions by id."""

    state: str = "ACTIVE"
    version: int = 0
    updated: float | None = None
    partitions: dict[int, Replica] = field(default_factory=dict)

    def touch(self, now: float) -> None:
        """Count a change of this member."""
        self.version += 1
        self.updated = now


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
class Step:
    """One step of a change; ``begun`` and ``done`` are times."""

    operation: str
    broker: int
    partition: int | None = None
    priority: int | None = None
    brokers: list[int] = field(default_factory=list)
    begun: float | None = None
    done: float | None = None


@dataclass
class Change:
    """A change under way."""

    id: int
    started: float
    steps: list[Step]
    replication_factor: int


@dataclass
class Ended:
    """The change that ended last."""

    id: int
    status: str
    started: float
    completed: float


@dataclass
class SimulatedCluster:
    """The state that all brokers of one cluster share.

    ``step_seconds``: what one step of a change takes. ``start_seconds``: from the start of a
    process until its partitions are ready. ``failure_seconds``: silence after which a broker is
    taken for dead (15 s on a real cluster). ``backups_end``: when the schedule of backups stopped
    working, in epoch seconds; None while it works.
    """

    cluster_size: int
    partitions: int
    replication_factor: int
    dialect: Dialect = "8.9"
    step_seconds: float = 0.3
    start_seconds: float = 1.0
    failure_seconds: float = 3.0
    version: int = 1
    bootstrapped: bool = False
    leases: int = 0
    exporting: str = "EXPORTING"
    backups_end: float | None = None
    members: dict[int, Member] = field(default_factory=dict)
    brokers: dict[int, Presence] = field(default_factory=dict)
    pending: Change | None = None
    last: Ended | None = None

    def __post_init__(self) -> None:
        if not self.members:
            self.leases = self.cluster_size
            self.members = {node: Member() for node in range(self.cluster_size)}
            for partition, replicas in self._placement(range(self.cluster_size)).items():
                for node, priority in replicas.items():
                    self.members[node].partitions[partition] = Replica("ACTIVE", priority)

    # What brokers do

    def beat(self, node: int, host: str, started: float, now: float) -> bool:
        """Say that a broker process lives; ``False`` when it must not take part (yet).

        A first start needs the coordinator (broker 0). From 8.9 on, a process also needs a
        node-id lease, and those come and go with the members: one that has lost its lease exits.
        """
        if self.dialect == "8.9" and node >= self.leases:
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

    def coordinator(self) -> int:
        """Give the member that decides on changes: the lowest id."""
        return min(self.members)

    def coordinator_lives(self, now: float) -> bool:
        """Tell whether the coordinator can be asked."""
        return self._lives(self.coordinator(), now)

    # What users ask

    def configuration(self) -> Json:
        """Give the body of ``GET /actuator/cluster``."""
        payload: Json = {"version": self.version, "brokers": _brokers(self.members)}
        if self.last is not None:
            payload["lastChange"] = {
                "id": self.last.id,
                "status": self.last.status,
                "startedAt": _instant(self.last.started),
                "completedAt": _instant(self.last.completed),
            }
        if self.pending is not None:
            steps = self.pending.steps
            payload["pendingChange"] = {
                "id": self.pending.id,
                "status": "IN_PROGRESS",
                "completed": [_operation(step) for step in steps if step.done is not None],
                "pending": [_operation(step) for step in steps if step.done is None],
            }
        if self.dialect == "8.9":
            payload["clusterId"] = "00000000-0000-4000-8000-000000000000"
            payload["routing"] = {
                "version": 1,
                "requestHandling": {
                    "strategy": "AllPartitions",
                    "partitionCount": self.partitions,
                },
                "messageCorrelation": {"strategy": "HashMod", "partitionCount": self.partitions},
            }
        return payload

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
        if self.dialect == "8.9":
            payload["clusterId"] = "00000000-0000-4000-8000-000000000000"
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
                "processedPosition": 0,
                "snapshotId": None,
                "processedPositionInSnapshot": None,
                "streamProcessorPhase": "PROCESSING" if seen["role"] == "leader" else "REPLAY",
                "exporterPhase": self.exporting,
                "exportedPosition": 0,
            }
            for seen in self.seen_partitions(node)
        }

    def backup_states(self, now: float) -> Json:
        """Give the body of ``GET /actuator/backupRuntime/state``: a backup at each full hour."""
        last = now if self.backups_end is None else self.backups_end
        taken = _instant(last - last % 3600)
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

    def patch(
        self, body: object, *, now: float, dry_run: bool = False, force: bool = False
    ) -> Json:
        """Answer ``PATCH /actuator/cluster``: give the body of the 202.

        Raises ``Refusal``, or ``BadRequest`` when the body is not of the expected types.
        """
        target, replication_factor = self._requested(body, force=force)
        before = self._snapshot()
        steps = self._plan(target, replication_factor)
        if not steps:
            return _planned(self.last.id if self.last else 0, before, before, [])
        if self.pending is not None:
            raise Refusal(
                409,
                "Cannot apply configuration change. Another configuration change "
                f"[ClusterConfiguration[version={self.version}, members={before}]] is in progress.",
            )
        expected = self._expected(steps, replication_factor, now)
        change = Change(self.version + 1, now, steps, replication_factor)
        if not dry_run:
            self.version = change.id
            self.pending = change
        return _planned(change.id, before, expected, steps)

    def cancel(self, change_id: int, *, now: float) -> Json:
        """Answer ``DELETE /actuator/cluster/changes/{id}``; steps that were done stay done."""
        if self.pending is None:
            raise Refusal(400, f"Cannot cancel change {change_id} because no change is in progress")
        if self.pending.id != change_id:
            raise Refusal(
                400, f"Cannot cancel change {change_id} because it is not the current change"
            )
        self.last = Ended(change_id, "CANCELLED", self.pending.started, now)
        self.pending = None
        self.version += 2
        return self.configuration()

    # For keeping it in a file

    def to_json(self) -> Json:
        """Give the whole state, JSON-serialisable."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Json) -> SimulatedCluster:
        """Give back what ``to_json`` gave."""
        members = {
            int(node): Member(
                **{
                    **member,
                    "partitions": {
                        int(partition): Replica(**replica)
                        for partition, replica in member["partitions"].items()
                    },
                }
            )
            for node, member in state["members"].items()
        }
        pending = state["pending"]
        return cls(
            **{
                **state,
                "members": members,
                "brokers": {int(n): Presence(**p) for n, p in state["brokers"].items()},
                "pending": pending
                and Change(**{**pending, "steps": [Step(**step) for step in pending["steps"]]}),
                "last": state["last"] and Ended(**state["last"]),
            }
        )

    # Inside

    def _lives(self, node: int, now: float) -> bool:
        presence = self.brokers.get(node)
        return presence is not None and now - presence.seen < self.failure_seconds

    def _requested(self, body: object, *, force: bool) -> tuple[set[int], int]:
        request = _object(body)
        brokers, partitions = _object(request.get("brokers")), _object(request.get("partitions"))
        count = _number(brokers.get("count"))
        add, remove = _numbers(brokers.get("add")), _numbers(brokers.get("remove"))
        if force:
            _refuse_force(count, add, remove)
        if _number(partitions.get("count")) not in (None, self.partitions):
            raise Refusal(501, "The fake does not simulate partition scaling")
        if count is not None and (add or remove):
            raise Refusal(
                400,
                "Cannot change brokers count and add/remove brokers at the same time. Specify "
                "either the new brokers count or brokers to add and remove.",
            )
        if add & remove:
            raise Refusal(
                400,
                "java.lang.IllegalArgumentException: Cannot add and remove the same member in "
                "the same request",
            )
        target = set(range(count)) if count is not None else (set(self.members) | add) - remove
        given = _number(partitions.get("replicationFactor"))
        replication_factor = self.replication_factor if given is None else given
        if not target:
            raise Refusal(
                400,
                "java.lang.IllegalArgumentException: Cannot reassign partitions if no brokers "
                "are provided",
            )
        if replication_factor <= 0:
            raise Refusal(400, f"Replication factor [{replication_factor}] must be greater than 0")
        if len(target) < replication_factor:
            raise Refusal(
                400,
                f"Number of brokers [{len(target)}] is less than the replication factor "
                f"[{replication_factor}]",
            )
        return target, replication_factor

    def _placement(
        self, nodes: Sequence[int], factor: int | None = None
    ) -> dict[int, dict[int, int]]:
        """Place round robin; priorities fall from the leader, and rise on every second round."""
        factor = factor or self.replication_factor
        ordered = sorted(nodes)
        placement: dict[int, dict[int, int]] = {}
        for index in range(self.partitions):
            rising = (index // len(ordered)) % 2 == 1
            placement[index + 1] = {
                ordered[(index + place) % len(ordered)]: factor
                if place == 0
                else (place if rising else factor - place)
                for place in range(factor)
            }
        return placement

    def _plan(self, target: set[int], replication_factor: int) -> list[Step]:
        """Plan the steps as Camunda orders them: joins before leaves, members last."""
        steps = [Step("BROKER_ADD", node) for node in sorted(target - set(self.members))]
        for partition, wanted in self._placement(sorted(target), replication_factor).items():
            present = {
                node: member.partitions[partition].priority
                for node, member in self.members.items()
                if partition in member.partitions
                and member.partitions[partition].state != "JOINING"
            }
            steps += [
                Step("PARTITION_JOIN", node, partition, priority)
                for node, priority in wanted.items()
                if node not in present
            ]
            steps += [
                Step("PARTITION_LEAVE", node, partition) for node in present if node not in wanted
            ]
            steps += [
                Step("PARTITION_RECONFIGURE_PRIORITY", node, partition, priority)
                for node, priority in wanted.items()
                if node in present and present[node] != priority
            ]
        removed = sorted(set(self.members) - target)
        steps += [Step("BROKER_REMOVE", node) for node in removed]
        for node in removed:
            left = {p: r for p, r in self.members[node].partitions.items() if r.state == "JOINING"}
            if left:
                raise Refusal(
                    400,
                    f"java.lang.IllegalStateException: Expected to remove member {node}, but the "
                    f"member still has partitions assigned. Partitions: [{left}]",
                )
        if self.dialect == "8.9" and target != set(self.members):
            ids = sorted(target)
            steps.insert(0, Step("PRE_SCALING", self.coordinator(), brokers=ids))
            steps.append(Step("POST_SCALING", self.coordinator(), brokers=ids))
        return steps

    def _expected(self, steps: list[Step], replication_factor: int, now: float) -> list[Json]:
        trial = copy.deepcopy(self)
        trial.pending = Change(0, now, copy.deepcopy(steps), replication_factor)
        for step in trial.pending.steps:
            trial._begin(step, now)
            trial._complete(step, now)
        trial._end(now)
        return trial._snapshot()

    def _snapshot(self) -> list[Json]:
        return _brokers(self.members)

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
                self._begin(step, moment)
            moment += self.step_seconds
            if min(worker.seen, now) < moment:
                return
            self._complete(step, moment)
        self._end(moment)

    def _begin(self, step: Step, now: float) -> None:
        step.begun = now
        match step.operation:
            case "BROKER_ADD":
                self.members[step.broker] = Member(state="JOINING")
                self.members[step.broker].touch(now)
            case "BROKER_REMOVE":
                self.members[step.broker].state = "LEAVING"
                self.members[step.broker].touch(now)
            case "PARTITION_JOIN":
                joining = Replica("JOINING", step.priority or 0)
                self.members[step.broker].partitions[step.partition or 0] = joining
                self.members[step.broker].touch(now)
            case "PARTITION_LEAVE":
                self.members[step.broker].partitions[step.partition or 0].state = "LEAVING"
                self.members[step.broker].touch(now)

    def _complete(self, step: Step, now: float) -> None:
        step.done = now
        match step.operation:
            case "PRE_SCALING":
                self.leases = max(self.leases, len(step.brokers))
                return
            case "POST_SCALING":
                self.leases = len(step.brokers)
                return
            case "BROKER_ADD":
                self.members[step.broker].state = "ACTIVE"
            case "BROKER_REMOVE":
                self.members[step.broker].state = "LEFT"
            case "PARTITION_JOIN":
                self.members[step.broker].partitions[step.partition or 0].state = "ACTIVE"
            case "PARTITION_LEAVE":
                del self.members[step.broker].partitions[step.partition or 0]
            case "PARTITION_RECONFIGURE_PRIORITY":
                replica = self.members[step.broker].partitions[step.partition or 0]
                replica.priority = step.priority or 0
        self.members[step.broker].touch(now)

    def _end(self, now: float) -> None:
        change = self.pending
        if change is None:
            return
        self.members = {n: m for n, m in self.members.items() if m.state != "LEFT"}
        self.replication_factor = change.replication_factor
        self.last = Ended(change.id, "COMPLETED", change.started, now)
        self.pending = None
        self.version += 1


def _object(value: object) -> Json:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest
    return value


def _number(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadRequest
    try:
        return int(value)
    except ValueError as error:
        raise BadRequest from error


def _numbers(value: object) -> set[int]:
    if value is None:
        return set()
    if not isinstance(value, list):
        raise BadRequest
    numbers = (_number(one) for one in value)
    return {number for number in numbers if number is not None}


def _refuse_force(count: object, add: object, remove: object) -> None:
    if count is not None:
        raise Refusal(400, "Cannot force change the broker count.")
    if add:
        raise Refusal(400, "Cannot force add brokers")
    if not remove:
        raise Refusal(400, "Must provide a set of brokers to force remove.")
    raise Refusal(501, "The fake does not simulate forced removal")


def _brokers(members: Mapping[int, Member]) -> list[Json]:
    return [
        {
            "id": node,
            "state": member.state,
            "version": member.version,
            "lastUpdatedAt": _instant(member.updated),
            "partitions": [
                {
                    "id": partition,
                    "state": replica.state,
                    "priority": replica.priority,
                    "config": {"exporting": {"exporters": []}},
                }
                for partition, replica in sorted(member.partitions.items())
            ],
        }
        # Not sorted by id, like the real answer.
        for node, member in sorted(members.items(), key=lambda item: (item[0] == 0, item[0]))
    ]


def _planned(change_id: int, before: list[Json], after: list[Json], steps: list[Step]) -> Json:
    return {
        "changeId": change_id,
        "currentTopology": before,
        "plannedChanges": [_operation(step) for step in steps],
        "expectedTopology": after,
    }


def _operation(step: Step) -> Json:
    operation: Json = {"operation": step.operation, "brokerId": step.broker}
    if step.partition is not None:
        operation["partitionId"] = step.partition
    if step.priority is not None:
        operation["priority"] = step.priority
    operation["brokers"] = list(step.brokers)
    if step.done is not None:
        operation["completedAt"] = _instant(step.done)
    return operation


def _instant(moment: float | None) -> str:
    if moment is None:
        return "0000-01-01T00:00:00Z"
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
