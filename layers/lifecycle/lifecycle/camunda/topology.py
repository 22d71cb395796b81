"""Configuration and topology of a Camunda cluster, and their evaluation.

Two responses describe a cluster, and neither is enough alone. ``GET /actuator/cluster`` is its
*configuration*: who belongs to it, which partitions are placed where and which change is under way.
A broker that died stays ``ACTIVE`` there permanently. ``GET /v2/topology`` is what is *seen*: which
brokers are there now, who leads which partition and how it is.

The readers are tolerant where versions differ (8.6 to 8.10 were compared): unknown enumeration
values become ``UNKNOWN``, absent fields ``None``, identifiers may be strings, lists come in any
order, and timestamps may lie outside the years that Python knows. They are strict where guessing
would be dangerous: what identifies a broker, a partition or a change must be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from lifecycle.camunda.json_reader import integer_at, mapping, number, objects, optional_text, short
from lifecycle.errors import InvalidResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

# A number, or "zone-a_0" in a zone-aware cluster (8.10).
type BrokerId = int | str
# A broker, a partition on a broker, or a partition.
type Place = tuple[BrokerId | None, int | None]


# Far above every cluster: each member is queried in a thread of its own, by the address it gives.
MOST_MEMBERS: Final = 100
_MOST_PARTITIONS: Final = 1000


class MemberState(StrEnum):
    """State of a broker in the configuration."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    JOINING = "JOINING"
    LEAVING = "LEAVING"
    LEFT = "LEFT"
    RECOVERING = "RECOVERING"


class ReplicaState(StrEnum):
    """State of a partition's replica in the configuration; from 8.10 on in the topology, too."""

    UNKNOWN = "UNKNOWN"
    JOINING = "JOINING"
    LEARNER = "LEARNER"
    ACTIVE = "ACTIVE"
    LEAVING = "LEAVING"
    RECOVERING = "RECOVERING"


class OperationKind(StrEnum):
    """The steps of a cluster change that decisions here distinguish; any other is ``UNKNOWN``."""

    UNKNOWN = "UNKNOWN"
    PRE_SCALING = "PRE_SCALING"
    POST_SCALING = "POST_SCALING"
    BROKER_ADD = "BROKER_ADD"
    BROKER_REMOVE = "BROKER_REMOVE"
    BROKER_FORCE_REMOVE = "BROKER_FORCE_REMOVE"
    PARTITION_JOIN = "PARTITION_JOIN"
    PARTITION_LEAVE = "PARTITION_LEAVE"
    PARTITION_RECONFIGURE_PRIORITY = "PARTITION_RECONFIGURE_PRIORITY"
    PARTITION_FORCE_RECONFIGURE = "PARTITION_FORCE_RECONFIGURE"
    PARTITION_BOOTSTRAP = "PARTITION_BOOTSTRAP"
    START_PARTITION_SCALE_UP = "START_PARTITION_SCALE_UP"


class ChangeStatus(StrEnum):
    """What has become of one cluster change."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    PENDING = "PENDING"
    OUTDATED = "OUTDATED"
    UNKNOWN = "UNKNOWN"


class Role(StrEnum):
    """Raft role of a broker for a partition."""

    UNKNOWN = "unknown"
    LEADER = "leader"
    FOLLOWER = "follower"
    INACTIVE = "inactive"


class Health(StrEnum):
    """Health of a partition on a broker."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DEAD = "dead"


@dataclass(frozen=True)
class Replica:
    """A partition as the configuration places it on a broker. Leaders have the top priority.

    ``exports`` is false only where the configuration lists no exporter.
    """

    partition: int
    state: ReplicaState
    priority: int | None
    exports: bool = True


@dataclass(frozen=True)
class Member:
    """A broker as the configuration has it."""

    id: BrokerId
    state: MemberState
    version: int | None
    partitions: tuple[Replica, ...]


@dataclass(frozen=True)
class Operation:
    """One step of a change.

    ``broker`` is the one that the step is about. A forced removal is printed as ``BROKER_REMOVE``
    with the *executor* as its broker and the removed ones in a list; here its kind is
    ``BROKER_FORCE_REMOVE``, ``broker`` the removed one and ``brokers`` all that are removed.
    ``name`` is what Camunda called the step.
    """

    kind: OperationKind
    name: str
    broker: BrokerId | None = None
    partition: int | None = None
    priority: int | None = None
    brokers: tuple[BrokerId, ...] = ()

    def __str__(self) -> str:
        """Text for people, such as ``PARTITION_JOIN broker 3 partition 2``."""
        broker = None if self.broker is None else f"broker {self.broker}"
        partition = None if self.partition is None else f"partition {self.partition}"
        return " ".join(part for part in (self.name, broker, partition) if part)


@dataclass(frozen=True)
class LastChange:
    """The change that ended last."""

    id: int
    status: ChangeStatus


@dataclass(frozen=True)
class PendingChange:
    """The change under way, with the steps done and still to do, in order."""

    id: int
    completed: tuple[Operation, ...]
    pending: tuple[Operation, ...]


@dataclass(frozen=True)
class Routing:
    """How many partitions take new requests; fewer than exist while partitions are added.

    ``settled`` is false while the strategy names active and inactive partitions one by one: adding
    partitions is done when it is all of them again
    (https://docs.camunda.io/docs/apis-tools/management-api/specifications/cluster/).
    """

    version: int | None
    active_partitions: int | None
    settled: bool = True


@dataclass(frozen=True)
class ClusterConfiguration:
    """``GET /actuator/cluster``. Members are in order of their ids.

    ``version`` is absent on 8.10 with several physical tenants, and so are ``last_change``,
    ``pending_change`` and ``routing``, which are absent otherwise whenever there is none.
    ``tenants`` are the physical tenants that are named.
    """

    version: int | None
    members: tuple[Member, ...]
    last_change: LastChange | None = None
    pending_change: PendingChange | None = None
    routing: Routing | None = None
    tenants: tuple[str, ...] = ()

    @property
    def unsupported(self) -> str:
        """Return what decisions here do not support; empty if everything is supported.

        Several physical tenants have a pending change each, which the answer for all does not
        name; brokers of zones have no order in which they could be counted.
        """
        zoned = [str(one.id) for one in self.members if isinstance(one.id, str)]
        if zoned:
            return f"its brokers are named by zones ({', '.join(zoned)})"
        if len(self.tenants) > 1:
            return f"it has several physical tenants ({', '.join(self.tenants)})"
        return ""

    @property
    def broker_ids(self) -> tuple[BrokerId, ...]:
        """Return the ids of the members, in order."""
        return tuple(member.id for member in self.members)


@dataclass(frozen=True)
class PlannedChange:
    """The answer to a requested change or to its dry run.

    ``change_id`` of a request that changes nothing is that of an *older* change (0 if there was
    none), so a change is to be followed only when ``operations`` is not empty.
    """

    change_id: int
    operations: tuple[Operation, ...]
    current: tuple[Member, ...]
    expected: tuple[Member, ...]

    @property
    def is_noop(self) -> bool:
        """Return whether the cluster already is as requested."""
        return not self.operations


@dataclass(frozen=True)
class SeenPartition:
    """A partition on a broker as the gateway sees it; ``state`` is None below 8.10."""

    id: int
    role: Role
    health: Health
    state: ReplicaState | None = None

    @property
    def is_copy(self) -> bool:
        """Return whether it counts as a replica: it leads or follows, is healthy and a full member.

        A replica that is inactive may still be reported as healthy (camunda/camunda#13401, #8717).
        """
        return (
            self.role in {Role.LEADER, Role.FOLLOWER}
            and self.health is Health.HEALTHY
            and self.state in {None, ReplicaState.ACTIVE}
        )

    def __str__(self) -> str:
        """Text in Camunda's terms, such as ``inactive, healthy``."""
        words = (self.role.value, self.health.value, self.state.value.lower() if self.state else "")
        return ", ".join(word for word in words if word)


@dataclass(frozen=True)
class SeenBroker:
    """A broker as the gateway sees it; on Fargate ``host`` is its task's private address."""

    node_id: BrokerId
    host: str
    port: int | None
    version: str
    partitions: tuple[SeenPartition, ...]


@dataclass(frozen=True)
class Topology:
    """``GET /v2/topology``. Brokers are in order of their ids.

    A broker without partitions is running but not (or no longer) part of the cluster, or has not
    been given a partition. One that died is still listed for about 15 seconds.
    """

    cluster_size: int | None
    partitions_count: int | None
    replication_factor: int | None
    gateway_version: str
    brokers: tuple[SeenBroker, ...]


class ReadinessState(StrEnum):
    """Readiness that one broker reports, or that it does not respond."""

    READY = "READY"
    NOT_READY = "NOT_READY"
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True)
class Readiness:
    """Readiness of the broker at one address; ``detail`` is the reason if it is not ready."""

    address: str
    state: ReadinessState
    detail: str


@dataclass(frozen=True)
class Formation:
    """Progress of a cluster's formation; ``problems`` is empty exactly when it is."""

    formed: bool
    brokers_joined: int
    partitions_ready: int
    problems: tuple[str, ...]


def read_configuration(payload: object) -> ClusterConfiguration:
    """Read the answer of ``GET /actuator/cluster``.

    Raises ``InvalidResponse`` when brokers or changes cannot be identified.
    """
    answer = mapping(payload, "the cluster configuration")
    return ClusterConfiguration(
        version=_optional_integer(answer, "version"),
        members=_members(answer.get("brokers"), "brokers"),
        last_change=_last_change(answer.get("lastChange")),
        pending_change=_pending_change(answer.get("pendingChange")),
        routing=_routing(answer.get("routing")),
        tenants=_tenants(answer.get("physicalTenants")),
    )


def read_planned_change(payload: object) -> PlannedChange:
    """Read the 202 answer to a change or to its dry run.

    Raises ``InvalidResponse`` when the change or its brokers cannot be identified.
    """
    answer = mapping(payload, "the planned change")
    return PlannedChange(
        change_id=integer_at(answer.get("changeId"), "changeId"),
        operations=_operations(answer.get("plannedChanges"), "plannedChanges"),
        current=_members(answer.get("currentTopology"), "currentTopology"),
        expected=_members(answer.get("expectedTopology"), "expectedTopology"),
    )


def read_topology(payload: object) -> Topology:
    """Read the answer of ``GET /v2/topology``.

    Raises ``InvalidResponse`` when brokers or partitions cannot be identified.
    """
    answer = mapping(payload, "the topology")
    brokers = [
        SeenBroker(
            # From 8.10 on brokerId identifies: nodeId does so only within a zone.
            node_id=_broker_id(
                item.get("brokerId") or item.get("nodeId"), f"brokers[{index}].nodeId"
            ),
            host=optional_text(item, "host") or "",
            port=_optional_integer(item, "port"),
            version=optional_text(item, "version") or "",
            partitions=_seen_partitions(item.get("partitions"), f"brokers[{index}].partitions"),
        )
        for index, item in enumerate(_optional_items(answer.get("brokers"), "brokers"))
    ]
    return Topology(
        cluster_size=_optional_integer(answer, "clusterSize"),
        partitions_count=_optional_integer(answer, "partitionsCount"),
        replication_factor=_optional_integer(answer, "replicationFactor"),
        gateway_version=optional_text(answer, "gatewayVersion") or "",
        brokers=_ordered(brokers, lambda broker: broker.node_id, "brokers", MOST_MEMBERS),
    )


def change_status(configuration: ClusterConfiguration, change_id: int) -> ChangeStatus:
    """Return the status of the change that was accepted as ``change_id``.

    ``OUTDATED``: a later change has ended since, so this one is over and how it ended is not known
    any more. ``UNKNOWN``: this configuration does not know the change (yet).
    """
    last, pending = configuration.last_change, configuration.pending_change
    if last is not None and last.id == change_id:
        return last.status
    if pending is not None and pending.id == change_id:
        return ChangeStatus.PENDING
    if last is not None and last.id > change_id:
        return ChangeStatus.OUTDATED
    return ChangeStatus.UNKNOWN


def formation(
    configuration: ClusterConfiguration | None,
    topology: Topology | None,
    *,
    brokers: int,
    partitions: int,
    replication_factor: int,
    incomplete_change: Collection[Place] = (),
    without: int | None = None,
) -> Formation:
    """Return how far the cluster is formed as requested.

    Formed: the brokers ``0 … brokers-1`` are all seen (and, where the configuration could be read,
    active members), and each partition ``1 … partitions`` has exactly one leader and
    ``replication_factor`` replicas, all of them healthy leaders or followers. ``None`` stands for
    what could not be read; brokers beyond the expected ones are no problem. ``incomplete_change``
    are replicas that come or go and do not count, and partitions (broker ``None``) that may have
    more than their copies. ``without``
    is a broker that is about to be stopped: the cluster is judged by the others, which have to hold
    every other replica, healthy; it may itself be the one that is sick, or the leader.
    """
    if without is not None and configuration is None:
        unread = f"what broker {without} holds is in the cluster configuration, which was not read"
        return Formation(False, 0, 0, (unread,))
    if topology is None:
        return Formation(
            formed=False,
            brokers_joined=0,
            partitions_ready=0,
            problems=("no broker shows the topology yet",),
        )
    seen = {broker.node_id for broker in topology.brokers}
    missing = [node for node in range(brokers) if node not in seen]
    problems = [f"broker {node} is not in the topology" for node in missing if node != without]
    if configuration is not None:
        problems += _membership_problems(configuration, brokers)
    ready = 0
    for partition in range(1, partitions + 1):
        copies = replication_factor - _holds(configuration, without, partition)
        problem = _partition_problem(topology, partition, copies, incomplete_change, without)
        if problem is None:
            ready += 1
        else:
            problems.append(problem)
    return Formation(
        formed=not problems,
        brokers_joined=brokers - len(missing),
        partitions_ready=ready,
        problems=tuple(problems),
    )


def topology_table(topology: Topology) -> list[dict[str, object]]:
    """Return rows for a table of brokers by partitions, JSON-serialisable.

    One row per broker: ``{"broker", "host", "version", "partitions": {"1": {"role", "health"}}}``.
    """
    return [
        {
            "broker": broker.node_id,
            "host": broker.host,
            "version": broker.version,
            "partitions": {
                str(partition.id): {"role": partition.role.value, "health": partition.health.value}
                for partition in broker.partitions
            },
        }
        for broker in topology.brokers
    ]


def members_table(configuration: ClusterConfiguration) -> list[dict[str, object]]:
    """Return the members of the configuration, JSON-serialisable: ``{"broker", "state"}``."""
    return [{"broker": member.id, "state": member.state.value} for member in configuration.members]


def pending_summary(configuration: ClusterConfiguration) -> dict[str, object] | None:
    """Return the change under way, JSON-serialisable; None when there is none.

    ``{"id", "done", "planned", "next"}``: steps done and in all, and the next step in words.
    """
    change = configuration.pending_change
    if change is None:
        return None
    return {
        "id": change.id,
        "done": len(change.completed),
        "planned": len(change.completed) + len(change.pending),
        "next": str(change.pending[0]) if change.pending else None,
    }


def _membership_problems(configuration: ClusterConfiguration, brokers: int) -> list[str]:
    states = {member.id: member.state for member in configuration.members}
    return [
        f"broker {node} is {states[node]} in the cluster configuration"
        if node in states
        else f"broker {node} is not in the cluster configuration"
        for node in range(brokers)
        if states.get(node) is not MemberState.ACTIVE
    ]


def _holds(configuration: ClusterConfiguration | None, node: int | None, partition: int) -> int:
    """Return 1 when that broker holds a copy of the partition, else 0."""
    if configuration is None or node is None:
        return 0
    return sum(
        replica.partition == partition
        for member in configuration.members
        if member.id == node
        for replica in member.partitions
    )


def _partition_problem(
    topology: Topology,
    partition: int,
    replication_factor: int,
    incomplete_change: Collection[Place],
    without: int | None,
) -> str | None:
    replicas = [
        (broker.node_id, replica)
        for broker in topology.brokers
        for replica in broker.partitions
        if replica.id == partition
    ]
    leaders = [node for node, replica in replicas if replica.role is Role.LEADER]
    if without is not None:
        replicas = [one for one in replicas if one[0] != without]
        leaders = [node for node in leaders if node != without] or leaders
    if len(leaders) != 1:
        who = f"leaders {leaders}" if leaders else "no leader"
        return f"partition {partition} has {who}"
    # A replica that joins or leaves may lead, but is not one of the copies that count.
    counted = [one for one in replicas if (one[0], partition) not in incomplete_change]
    unhealthy = [(node, replica) for node, replica in counted if not replica.is_copy]
    if (None, partition) in incomplete_change:
        healthy = len(counted) - len(unhealthy)
        if healthy >= replication_factor:
            return None
        return f"partition {partition} has {healthy} of {replication_factor} healthy replicas"
    if len(counted) != replication_factor:
        return f"partition {partition} has {len(counted)} of {replication_factor} replicas"
    if unhealthy:
        names = ", ".join(f"{node} ({replica})" for node, replica in unhealthy)
        return f"partition {partition} is not healthy on broker {names}"
    return None


def _last_change(value: object) -> LastChange | None:
    if value is None:
        return None
    change = mapping(value, "lastChange")
    return LastChange(
        id=integer_at(change.get("id"), "lastChange.id"),
        status=_ended(change.get("status")),
    )


def _ended(value: object) -> ChangeStatus:
    # PENDING and OUTDATED are our values: Camunda does not return them.
    status = _member_of(ChangeStatus, value)
    ends = {ChangeStatus.COMPLETED, ChangeStatus.FAILED, ChangeStatus.CANCELLED}
    return status if status in ends else ChangeStatus.UNKNOWN


def _pending_change(value: object) -> PendingChange | None:
    if value is None:
        return None
    change = mapping(value, "pendingChange")
    return PendingChange(
        id=integer_at(change.get("id"), "pendingChange.id"),
        completed=_operations(change.get("completed"), "pendingChange.completed"),
        pending=_operations(change.get("pending"), "pendingChange.pending"),
    )


def _routing(value: object) -> Routing | None:
    """Read the routing: 8.6 lists active partitions, 8.8 and later name a strategy."""
    if not isinstance(value, Mapping):
        return None
    handling = value.get("requestHandling")
    listed = value.get("activePartitions")
    active: int | None = None
    settled = True
    if isinstance(listed, list):
        active = len(listed)
    elif isinstance(handling, Mapping):
        active = _optional_integer(handling, "partitionCount")
        base = _optional_integer(handling, "basePartitionCount")
        settled = base is None and active is not None
        additional = handling.get("additionalActivePartitions")
        if active is None and base is not None:
            active = base + (len(additional) if isinstance(additional, list) else 0)
    return Routing(_optional_integer(value, "version"), active, settled)


def _members(value: object, where: str) -> tuple[Member, ...]:
    members = [
        Member(
            id=_broker_id(item.get("id"), f"{where}[{index}].id"),
            state=_member_of(MemberState, item.get("state")),
            version=_optional_integer(item, "version"),
            partitions=_replicas(item.get("partitions"), f"{where}[{index}].partitions"),
        )
        for index, item in enumerate(objects(value, where))
    ]
    return _ordered(members, lambda member: member.id, where, MOST_MEMBERS)


def _replicas(value: object, where: str) -> tuple[Replica, ...]:
    replicas = [
        Replica(
            partition=integer_at(item.get("id"), f"{where}[{index}].id"),
            state=_member_of(ReplicaState, item.get("state")),
            priority=_optional_integer(item, "priority"),
            exports=_exports(item),
        )
        for index, item in enumerate(_optional_items(value, where))
    ]
    return _ordered(replicas, lambda replica: replica.partition, where)


def _tenants(value: object) -> tuple[str, ...]:
    """Read names of physical tenants: keys of an object, or a list of names or of objects."""
    if isinstance(value, Mapping):
        return tuple(sorted(map(str, value)))
    named = value if isinstance(value, list) else ()
    ids = [
        one.get("id", one.get("physicalTenantId")) if isinstance(one, Mapping) else one
        for one in named
    ]
    return tuple(sorted(str(number if one is None else one) for number, one in enumerate(ids)))


def _exports(item: Mapping[str, object]) -> bool:
    """Return whether an exporter is configured, whatever its state; also if none is reported."""
    config = item.get("config")
    exporting = config.get("exporting") if isinstance(config, Mapping) else None
    return not (isinstance(exporting, Mapping) and exporting.get("exporters") == [])


def _seen_partitions(value: object, where: str) -> tuple[SeenPartition, ...]:
    partitions = [
        SeenPartition(
            id=integer_at(item.get("partitionId"), f"{where}[{index}].partitionId"),
            role=_member_of(Role, item.get("role")),
            health=_member_of(Health, item.get("health")),
            state=None if item.get("state") is None else _member_of(ReplicaState, item["state"]),
        )
        for index, item in enumerate(_optional_items(value, where))
    ]
    return _ordered(partitions, lambda partition: partition.id, where)


def _operations(value: object, where: str) -> tuple[Operation, ...]:
    return tuple(
        _operation(item, f"{where}[{index}]")
        for index, item in enumerate(_optional_items(value, where))
    )


def _operation(item: Mapping[str, object], where: str) -> Operation:
    name = optional_text(item, "operation") or OperationKind.UNKNOWN.value
    kind = _member_of(OperationKind, name)
    broker = item.get("brokerId")
    broker_id = None if broker is None else _broker_id(broker, f"{where}.brokerId")
    listed = item.get("brokers")
    brokers = tuple(
        _broker_id(one, f"{where}.brokers") for one in (listed if isinstance(listed, list) else ())
    )
    if kind in (OperationKind.BROKER_REMOVE, OperationKind.BROKER_FORCE_REMOVE) and brokers:
        kind, broker_id = OperationKind.BROKER_FORCE_REMOVE, brokers[0]
        name = kind.value
    return Operation(
        kind=kind,
        name=name,
        broker=broker_id,
        partition=_optional_integer(item, "partitionId"),
        priority=_optional_integer(item, "priority"),
        brokers=brokers,
    )


def _optional_items(value: object, where: str) -> list[Mapping[str, object]]:
    return [] if value is None else objects(value, where)


def _optional_integer(item: Mapping[str, object], key: str) -> int | None:
    return number(item.get(key))


def _broker_id(value: object, where: str) -> BrokerId:
    if (node := number(value)) is not None:
        return node
    if isinstance(value, str) and value:
        return value
    raise InvalidResponse(f"{where} should name a broker but is {short(value)}.")


def _member_of[E: StrEnum](enumeration: type[E], value: object) -> E:
    """Find the member that ``value`` names, in any case of letters, or ``UNKNOWN``."""
    named = _named(enumeration).get(value.casefold()) if isinstance(value, str) else None
    return enumeration["UNKNOWN"] if named is None else named


@cache
def _named[E: StrEnum](enumeration: type[E]) -> dict[str, E]:
    return {member.value.casefold(): member for member in enumeration}


def _ordered[T](
    items: Iterable[T], identity: Callable[[T], BrokerId], where: str, most: int = _MOST_PARTITIONS
) -> tuple[T, ...]:
    ordered = tuple(sorted(items, key=lambda item: _rank(identity(item))))
    if len(ordered) > most:
        raise InvalidResponse(f"{where} lists {len(ordered)}, more than {most}.")
    for one, other in pairwise(ordered):
        if identity(one) == identity(other):
            raise InvalidResponse(f"{where} lists {identity(one)} more than once.")
    return ordered


def _rank(identity: BrokerId) -> tuple[bool, int, str]:
    if isinstance(identity, int):
        return (False, identity, "")
    return (True, 0, identity)
