"""The brokers of one cluster as ECS and Camunda show them, side by side.

ECS knows tasks and addresses, Camunda knows broker ids: a broker and a task are the same when the
host that the topology gives is the task's private address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.core.topology import (
    ClusterConfiguration,
    MemberState,
    OperationKind,
    PlannedChange,
    Readiness,
    ReplicaState,
    Topology,
)

if TYPE_CHECKING:
    from lifecycle.core.services import Deployment
    from lifecycle.core.topology import BrokerId, PendingChange


@dataclass(frozen=True, slots=True)
class BrokerTask:
    """A task of the brokers' service that ECS starts, runs or stops.

    ``address`` is empty until the network interface is attached; ``wanted`` is false once ECS has
    been told to stop it; ``protected_until`` is in epoch seconds, 0 without protection;
    ``deployment`` is the id of the deployment that started it, ``revision`` an ARN.
    """

    task_id: str
    address: str
    status: str
    wanted: bool
    protected_until: int = 0
    deployment: str = ""
    revision: str = ""

    @property
    def runs(self) -> bool:
        """Whether it runs, has an address and is to stay."""
        return self.wanted and self.status == "RUNNING" and bool(self.address)


@dataclass(frozen=True, slots=True)
class BrokerService:
    """The brokers' ECS service.

    ``failures`` tell why tasks could not be placed or started since a given moment, in ECS's words.
    ``revision`` is the ARN of the task definition of its newest deployment.
    """

    name: str
    desired: int
    deployments: tuple[Deployment, ...]
    tasks: tuple[BrokerTask, ...]
    failures: tuple[str, ...] = ()
    revision: str = ""

    @property
    def running(self) -> tuple[BrokerTask, ...]:
        """Tasks that run and are to stay."""
        return tuple(task for task in self.tasks if task.runs)

    @property
    def protected(self) -> tuple[BrokerTask, ...]:
        """Tasks that are protected from scale-in."""
        return tuple(task for task in self.tasks if task.wanted and task.protected_until)


@dataclass(frozen=True, slots=True)
class BrokersSeen:
    """What the brokers said; ``None`` and ``problems`` where they could not be asked.

    ``plan`` is Camunda's dry run for the requested number, asked only while no change is under
    way; ``plan_refused`` holds Camunda's words when it would refuse.
    """

    configuration: ClusterConfiguration | None = None
    topology: Topology | None = None
    plan: PlannedChange | None = None
    plan_refused: str = ""
    readiness: tuple[Readiness, ...] = ()
    problems: tuple[str, ...] = ()


def has_gap(configuration: ClusterConfiguration) -> bool:
    """Tell whether the broker ids are anything else than 0, 1, 2 … without a hole."""
    return configuration.broker_ids != tuple(range(len(configuration.members)))


def span(configuration: ClusterConfiguration) -> int:
    """Number of brokers from 0 to the highest id there is; ids with names count as one each."""
    numbers = [node + 1 for node in configuration.broker_ids if isinstance(node, int)]
    return max([*numbers, len(configuration.members)])


def leads_to(configuration: ClusterConfiguration) -> frozenset[BrokerId] | None:
    """Tell which brokers are left when the pending change is through.

    ``None`` when nothing is pending, and for a forced removal, which is nobody's scaling.
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


def direction(configuration: ClusterConfiguration) -> str:
    """Say in words where the pending change leads."""
    ids = leads_to(configuration)
    if ids is None:
        return "removes brokers by force"
    if ids == frozenset(range(len(ids))):
        return f"leads to {len(ids)} brokers"
    return f"leads to the brokers {', '.join(sorted(map(str, ids)))}"


def _is_forced(pending: PendingChange) -> bool:
    forced = {OperationKind.BROKER_FORCE_REMOVE, OperationKind.PARTITION_FORCE_RECONFIGURE}
    return any(step.kind in forced for step in (*pending.completed, *pending.pending))


def half_done(configuration: ClusterConfiguration) -> tuple[str, ...]:
    """Say what a change left half-way: brokers and replicas that come or go, and no change."""
    return tuple(_half_done(configuration)) if configuration.pending_change is None else ()


def _half_done(configuration: ClusterConfiguration) -> Iterator[str]:
    for member in configuration.members:
        if member.state is not MemberState.ACTIVE:
            yield f"broker {member.id} is {member.state}"
        for replica in member.partitions:
            if replica.state in (ReplicaState.JOINING, ReplicaState.LEAVING):
                yield f"partition {replica.partition} is {replica.state} on broker {member.id}"


def tasks_of_brokers(service: BrokerService, topology: Topology | None) -> dict[int, BrokerTask]:
    """Give the running task of each numbered broker that is seen at one of their addresses."""
    at = {task.address: task for task in service.running}
    found: dict[int, BrokerTask] = {}
    for broker in topology.brokers if topology is not None else ():
        if isinstance(broker.node_id, int) and broker.host in at:
            found[broker.node_id] = at[broker.host]
    return found


def holders(configuration: ClusterConfiguration) -> frozenset[BrokerId]:
    """Brokers that hold a partition; the others are never ready, and need not be."""
    return frozenset(member.id for member in configuration.members if member.partitions)
