"""In-memory fake of the brokers' ECS service: tasks that start, stop and take node ids.

As on AWS, a task has an address of its own before it is a broker, and ECS stops whom it likes: here
the least convenient, the lowest broker that is not protected.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.errors import ServiceMissing, StabilizationTimeout
from lifecycle.services.brokers import BrokerService, BrokerTask
from lifecycle.services.definition import minimum_healthy_percent
from lifecycle.services.startup import Deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SETTLED = Deployment("d-1", "PRIMARY", "COMPLETED", "", 0)
FIRST_REVISION = "arn:orchestration-cluster:1"


@dataclass
class _Task:
    seen: BrokerTask
    node: int | None = None


@dataclass
class FakeBrokerTasks:
    """One service, moved on by ``tick``.

    ``leases`` tells how many node ids there are; ``on_start`` and ``on_stop`` hear of broker
    processes (node id, address). ``refusal`` is why tasks cannot be placed, while it is set;
    ``fails`` holds revisions whose tasks never run. ``restless`` has a changed count show its
    deployment in progress until its tasks are there, which ECS does not promise not to do.
    """

    now: Callable[[], int]
    leases: Callable[[], int]
    on_start: Callable[[int, str], None]
    on_stop: Callable[[int], None]
    name: str = "orchestration-cluster"
    desired: int = 0
    minimum_healthy: int = 66
    deployments: tuple[Deployment, ...] = (SETTLED,)
    refusal: str = ""
    unplaced: list[str] = field(default_factory=list)
    stopped_by_ecs: list[int] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)
    tasks: dict[str, _Task] = field(default_factory=dict)
    started: int = 0
    revision: str = FIRST_REVISION
    fails: set[str] = field(default_factory=set)
    restless: bool = False
    deployed: int = 1

    # The port

    def observe(self, ecs_cluster: str, service: str, *, since: str = "") -> BrokerService:
        """Describe service and tasks."""
        del since
        if service != self.name:
            raise ServiceMissing(f"ECS cluster {ecs_cluster} has no active service {service}.")
        now = self.now()
        return BrokerService(
            name=self.name,
            desired=self.desired,
            deployments=self.counted,
            tasks=tuple(
                task.seen
                if task.seen.protected_until > now
                else replace(task.seen, protected_until=0)
                for task in self.tasks.values()
            ),
            unplaced=tuple(self.unplaced),
            revision=self.revision,
        )

    @property
    def counted(self) -> tuple[Deployment, ...]:
        """The deployments with the number of tasks that run of each."""
        running = Counter(
            one.seen.deployment for one in self.tasks.values() if one.seen.status == "RUNNING"
        )
        return tuple(replace(one, running=running[one.deployment_id]) for one in self.deployments)

    def set_count(self, ecs_cluster: str, service: str, count: int) -> None:
        """Set the count; tasks follow with the next ``tick``."""
        del ecs_cluster, service
        if self.restless and count != self.desired:
            primary, *older = self.deployments
            self.deployments = (replace(primary, rollout_state="IN_PROGRESS"), *older)
        self.desired, self.minimum_healthy = count, minimum_healthy_percent(count)

    def protect(self, ecs_cluster: str, task_ids: Sequence[str], *, minutes: int) -> None:
        """Protect tasks; ECS refuses to protect more than the service wants."""
        del ecs_cluster
        now = self.now()
        for task_id in task_ids:
            others = {t for t in self.tasks if t != task_id and self._protected(t)}
            if task_id not in self.tasks or len(others) >= self.desired:
                raise StabilizationTimeout(f"ECS did not protect {task_id} (DEPLOYMENT_BLOCKED).")
            self._protect(task_id, now + minutes * 60)

    def unprotect(self, ecs_cluster: str, task_ids: Sequence[str]) -> None:
        """Take protection away."""
        del ecs_cluster
        for task_id in task_ids:
            if task_id in self.tasks:
                self._protect(task_id, 0)

    def stop(self, ecs_cluster: str, task_id: str, reason: str) -> None:
        """Stop one task; ECS starts another with the next ``tick``."""
        del ecs_cluster, reason
        if task_id in self.tasks:
            self._end(task_id)

    def deploy(self, revision: str) -> None:
        """Begin a deployment; what ``Services.update`` does to this service."""
        self.revision = revision
        older = tuple(replace(one, status="ACTIVE") for one in self.deployments)
        self.deployed += 1
        new = Deployment(
            f"d-{self.deployed}", "PRIMARY", "IN_PROGRESS", "", 0, created_at=self.now()
        )
        self.deployments = (new, *older)

    # What happens by itself, and by accident

    def tick(self) -> None:
        """Take the next step of every task: exit without a lease, stop, start, become a broker."""
        for task_id, task in list(self.tasks.items()):
            if task.node is not None and task.node >= self.leases():
                self._end(task_id)
        surplus = len(self.tasks) - self.desired
        if surplus > 0:
            open_to_stop = [t for t in self.tasks if not self._protected(t)]
            open_to_stop.sort(key=self._inconvenience)
            for task_id in open_to_stop[:surplus]:
                node = self.tasks[task_id].node
                if node is not None:
                    self.stopped_by_ecs.append(node)
                self._end(task_id)
        self._replace_one()
        for task_id, task in list(self.tasks.items()):
            if task.seen.revision in self.fails and task.node is None:
                del self.tasks[task_id]
                self._count_failure()
                continue
            task.seen = replace(task.seen, status="RUNNING")
        for task in self.tasks.values():
            if task.node is None:
                self._take_node_id(task)
        for _ in range(self.desired - len(self.tasks)):
            self._place()
        self._complete()

    def _replace_one(self) -> None:
        """Stop an old task where enough are left: ECS asks no broker whether it can be spared."""
        current = self.deployments[0]
        old = [t for t, task in self.tasks.items() if task.seen.deployment != current.deployment_id]
        healthy = sum(task.node is not None for task in self.tasks.values())
        least = -(-self.desired * self.minimum_healthy // 100)
        if current.rollout_state == "IN_PROGRESS" and healthy > least:
            free = sorted((t for t in old if not self._protected(t)), key=self._inconvenience)
            for task_id in free[:1]:
                node = self.tasks[task_id].node
                if node is not None:
                    self.replaced.append(node)
                self._end(task_id)

    def _count_failure(self) -> None:
        primary, *older = self.deployments
        primary = replace(primary, failed_tasks=primary.failed_tasks + 1)
        if primary.rollout_state == "IN_PROGRESS" and primary.failed_tasks >= 3:
            primary = replace(primary, rollout_state="FAILED", rollout_reason="tasks did not start")
        self.deployments = (primary, *older)

    def _complete(self) -> None:
        primary = self.deployments[0]
        if primary.rollout_state == "IN_PROGRESS" and len(self.tasks) == self.desired:
            tasks = self.tasks.values()
            if all(
                t.seen.deployment == primary.deployment_id and t.node is not None for t in tasks
            ):
                self.deployments = (replace(primary, rollout_state="COMPLETED"),)

    def stop_broker(self, node: int) -> None:
        """Stop the task of a broker, as an accident would."""
        for task_id, task in list(self.tasks.items()):
            if task.node == node:
                self._end(task_id)

    def _place(self) -> None:
        primary = self.deployments[0]
        if self.refusal:
            self.unplaced.append(self.refusal)
            return
        if primary.rollout_state == "FAILED":
            return
        self.started += 1
        number = self.started
        address = f"10.0.{number // 250}.{number % 250}"
        self.tasks[f"t-{number}"] = _Task(
            BrokerTask(
                f"t-{number}",
                address,
                "PENDING",
                True,
                deployment=primary.deployment_id,
                revision=self.revision,
                created_at=self.now(),
            )
        )

    def _take_node_id(self, task: _Task) -> None:
        taken = {other.node for other in self.tasks.values()}
        free = next((node for node in range(self.leases()) if node not in taken), None)
        if free is not None:
            task.node = free
            self.on_start(free, task.seen.address)

    def _end(self, task_id: str) -> None:
        node = self.tasks.pop(task_id).node
        if node is not None:
            self.on_stop(node)

    def _protected(self, task_id: str) -> bool:
        return self.tasks[task_id].seen.protected_until > self.now()

    def _protect(self, task_id: str, until: int) -> None:
        task = self.tasks[task_id]
        task.seen = replace(task.seen, protected_until=until)

    def _inconvenience(self, task_id: str) -> tuple[bool, int]:
        node = self.tasks[task_id].node
        return (node is None, node or 0)
