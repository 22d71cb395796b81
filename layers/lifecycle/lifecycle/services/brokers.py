"""The brokers of one cluster as ECS and Camunda show them, side by side.

ECS knows tasks and addresses, Camunda knows broker ids: a broker and a task are the same when the
host that the topology gives is the task's private address.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.camunda.topology import (
    ClusterConfiguration,
    MemberState,
    OperationKind,
    PlannedChange,
    Readiness,
    ReplicaState,
    Topology,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lifecycle.camunda.topology import BrokerId, PendingChange, Place
    from lifecycle.services.startup import Deployment

# How long ECS keeps a protected task once its protection is not renewed: an aborted operation
# holds up deployments no longer than this.
PROTECTION_MINUTES: Final = 15


@dataclass(frozen=True, slots=True)
class BrokerTask:
    """A task of the brokers' service that ECS starts, runs or stops.

    ``address`` is empty until the network interface is attached; ``wanted`` is false once ECS has
    decided to stop it; ``protected_until`` is in epoch seconds, 0 without protection;
    ``deployment`` is the id of the deployment that started it, ``revision`` an ARN;
    ``created_at`` is in epoch seconds, 0 until the task is PENDING
    (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html).
    """

    task_id: str
    address: str
    status: str
    wanted: bool
    protected_until: int = 0
    deployment: str = ""
    revision: str = ""
    created_at: int = 0

    @property
    def runs(self) -> bool:
        """Whether it runs, has an address and is to stay."""
        return self.wanted and self.status == "RUNNING" and bool(self.address)


@dataclass(frozen=True, slots=True)
class BrokerService:
    """The brokers' ECS service.

    Since a given moment, in ECS's words: ``unplaced`` is why tasks were not placed, which ECS
    retries automatically until there is capacity; ``failures`` why placed tasks did not start
    (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html);
    ``stops`` why others stopped unexpectedly: tasks that ran, or whose start a retry may mend.
    ``revision`` is the ARN of the task definition of its newest deployment.
    """

    name: str
    desired: int
    deployments: tuple[Deployment, ...]
    tasks: tuple[BrokerTask, ...]
    failures: tuple[str, ...] = ()
    unplaced: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    revision: str = ""

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why tasks are missing, whatever the reason."""
        return (*self.unplaced, *self.failures, *self.stops)

    @property
    def running(self) -> tuple[BrokerTask, ...]:
        """Tasks that run and are to stay."""
        return tuple(task for task in self.tasks if task.runs)

    @property
    def protected(self) -> tuple[BrokerTask, ...]:
        """Tasks that are protected from scale-in."""
        return tuple(task for task in self.tasks if task.wanted and task.protected_until)


@dataclass(frozen=True, slots=True)
class BackupsOfPartitions:
    """Backups of the primary storage, as scaling partitions needs to know them.

    ``enabled`` is false where continuous backup is off or unknown; ``covered`` are the partitions
    that have a complete backup; ``newest`` and ``requested`` are the states (Camunda's words) of
    the newest backup and of the one that this operation took, empty when there is none.
    """

    enabled: bool
    covered: frozenset[int]
    newest: str = ""
    requested: str = ""


@dataclass(frozen=True, slots=True)
class BrokersSeen:
    """What the brokers returned; ``None`` and ``problems`` where they could not be queried.

    ``plan`` is Camunda's dry run for the requested number, queried only while no change is under
    way; ``refused`` holds
    Camunda's words where it does not show the topology to the user of the query;
    ``plan_refused`` holds Camunda's words when it would refuse. ``backups`` are queried only
    where partitions are scaled.
    """

    configuration: ClusterConfiguration | None = None
    topology: Topology | None = None
    plan: PlannedChange | None = None
    plan_refused: str = ""
    readiness: tuple[Readiness, ...] = ()
    problems: tuple[str, ...] = ()
    backups: BackupsOfPartitions | None = None
    refused: str = ""

    @property
    def sufficient(self) -> bool:
        """Whether there is enough to decide by: the configuration, and the topology or why not."""
        return self.configuration is not None and (self.topology is not None or bool(self.refused))


def has_gap(configuration: ClusterConfiguration, requested: int) -> bool:
    """Return whether requesting a count would do more than add or remove the highest ids.

    Ids above a hole may go, as they do when a removal of several is gone on with; a hole is never
    filled, and ids that are no numbers belong to zones.
    """
    ids = set(configuration.broker_ids)
    if ids == set(range(len(ids))):
        return False
    return any(isinstance(node, str) for node in ids) or not set(range(requested)) <= ids


def span(configuration: ClusterConfiguration) -> int:
    """Number of brokers from 0 to the highest id there is; ids with names count as one each."""
    numbers = [node + 1 for node in configuration.broker_ids if isinstance(node, int)]
    return max([*numbers, len(configuration.members)])


def leads_to(configuration: ClusterConfiguration) -> frozenset[BrokerId] | None:
    """Return which brokers are left when the pending change is through.

    ``None`` when nothing is pending, and for a forced removal, which is not scaling.
    """
    pending = configuration.pending_change
    if pending is None or _is_forced(pending):
        return None
    members = {
        member.id for member in configuration.members if member.state is not MemberState.LEFT
    }
    for operation in pending.pending:
        if operation.broker is None:
            continue
        if operation.kind is OperationKind.BROKER_ADD:
            members.add(operation.broker)
        elif operation.kind is OperationKind.BROKER_REMOVE:
            members.discard(operation.broker)
    return frozenset(members)


def partitions_after(configuration: ClusterConfiguration) -> int | None:
    """Return how many partitions there are when the pending change is through.

    ``None`` when nothing is pending, or when the change adds no partitions.
    """
    pending = configuration.pending_change
    steps = (*pending.completed, *pending.pending) if pending is not None else ()
    if all(step.kind is not OperationKind.START_PARTITION_SCALE_UP for step in steps):
        return None
    return max([held_partitions(configuration), *(step.partition or 0 for step in steps)])


def held_partitions(configuration: ClusterConfiguration) -> int:
    """Highest partition that a broker holds, whether it takes requests already or not."""
    ids = [one.partition for member in configuration.members for one in member.partitions]
    return max(ids, default=0)


def active_partitions(configuration: ClusterConfiguration) -> int:
    """Number of partitions that take requests; all that are held where the routing is unknown."""
    routing = configuration.routing
    active = routing.active_partitions if routing is not None else None
    return held_partitions(configuration) if active is None else active


def direction(configuration: ClusterConfiguration) -> str:
    """Return in words where the pending change leads."""
    ids = leads_to(configuration)
    if ids is None:
        return "removes brokers by force"
    partitions = partitions_after(configuration)
    if partitions is not None and ids == frozenset(configuration.broker_ids):
        return f"leads to {partitions} partitions"
    if ids == frozenset(range(len(ids))):
        return f"leads to {len(ids)} brokers"
    return f"leads to the brokers {', '.join(sorted(map(str, ids)))}"


def _is_forced(pending: PendingChange) -> bool:
    forced = {OperationKind.BROKER_FORCE_REMOVE, OperationKind.PARTITION_FORCE_RECONFIGURE}
    return any(step.kind in forced for step in (*pending.completed, *pending.pending))


def incomplete_change(configuration: ClusterConfiguration, copies: int = 0) -> tuple[str, ...]:
    """Return what a change left incomplete: what comes or goes while no change is pending.

    With ``copies``, the replication factor, also what has come while nothing has gone for it.
    """
    return tuple(text for _, text in _half_done(configuration, copies))


def half_done_places(configuration: ClusterConfiguration, copies: int) -> frozenset[Place]:
    """Return the same as places: a broker, a replica, or a partition with more than ``copies``."""
    return frozenset(place for place, _ in _half_done(configuration, copies))


def left_unfinished(
    configuration: ClusterConfiguration, plan: PlannedChange | None, copies: int
) -> tuple[str, ...]:
    """Return what would still be incomplete after that plan: no step of it completes it.

    Camunda takes what is joining for absent: it plans the join again where it is wanted, and
    nothing at all where it is not. So mostly only the change that was cancelled finishes it.
    """
    steps = plan.operations if plan is not None else ()
    finished = {(step.broker, step.partition) for step in steps if step.kind in _COMING_OR_GOING}
    finished |= {
        (None, step.partition) for step in steps if step.kind is OperationKind.PARTITION_LEAVE
    }
    return tuple(text for place, text in _half_done(configuration, copies) if place not in finished)


_COMING_OR_GOING: Final = frozenset(
    {
        OperationKind.BROKER_ADD,
        OperationKind.BROKER_REMOVE,
        OperationKind.PARTITION_JOIN,
        OperationKind.PARTITION_LEAVE,
        OperationKind.PARTITION_BOOTSTRAP,
    }
)


def _active(configuration: ClusterConfiguration) -> Counter[int]:
    """Count the copies of each partition that neither come nor go."""
    return Counter(
        replica.partition
        for member in configuration.members
        for replica in member.partitions
        if replica.state is ReplicaState.ACTIVE
    )


def _half_done(configuration: ClusterConfiguration, copies: int) -> Iterator[tuple[Place, str]]:
    """Go through it; ``copies`` of each partition are to be there, 0 when that is not known."""
    if configuration.pending_change is not None:
        return
    for partition, found in sorted(_active(configuration).items()):
        if 0 < copies < found:
            yield (None, partition), f"partition {partition} has {found} of {copies} copies"
    for member in configuration.members:
        if member.state is not MemberState.ACTIVE:
            yield (member.id, None), f"broker {member.id} is {member.state}"
        for replica in member.partitions:
            # Joining and leaving, but also learning, in recovery mode, or in a state of later.
            if replica.state is not ReplicaState.ACTIVE:
                text = f"partition {replica.partition} is {replica.state} on broker {member.id}"
                yield (member.id, replica.partition), text


def tasks_of_brokers(service: BrokerService, topology: Topology | None) -> dict[int, BrokerTask]:
    """Return the running task of each numbered broker that is seen at one of their addresses."""
    at = {task.address: task for task in service.running}
    found: dict[int, BrokerTask] = {}
    for broker in topology.brokers if topology is not None else ():
        if isinstance(broker.node_id, int) and broker.host in at:
            found[broker.node_id] = at[broker.host]
    return found


def orphaned_tasks(
    service: BrokerService, topology: Topology | None, members: Collection[BrokerId]
) -> str:
    """Return which tasks run brokers that are no members of the cluster; empty when none does.

    A change that was cancelled may leave node ids (leases) that no member has. A task that takes
    one instead of the id of a broker that died stands in its way.
    """
    found = tasks_of_brokers(service, topology)
    outside = sorted(found.keys() - set(members))
    return "; ".join(
        f"task {found[node].task_id} runs broker {node}, which does not belong to the cluster: if "
        "it has taken the place of the one that is missing, stop that task"
        for node in outside
    )


def holders(configuration: ClusterConfiguration) -> frozenset[BrokerId]:
    """Brokers that hold a partition; the others are never ready, and need not be."""
    return frozenset(member.id for member in configuration.members if member.partitions)
