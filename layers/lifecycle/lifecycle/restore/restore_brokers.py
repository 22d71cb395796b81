"""Stop what runs on the former data, and restore all brokers at once into the new one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.names import tags
from lifecycle.cluster.polling import Wait, next_wait
from lifecycle.errors import RestoreFailed, TasksStillRunning
from lifecycle.operation.steps import BROKERS_RESTORED, SERVICES_STOP
from lifecycle.provisioning.roll_services import begun_at
from lifecycle.restore.decisions import APPEARS, TASKS_PATIENCE, TasksAction, decide_tasks
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.provisioning.ports import NodeIdLeases
    from lifecycle.restore.decisions import TasksDecision
    from lifecycle.restore.ports import RestoreTasks
    from lifecycle.services.ports import Services

_STOP_PATIENCE: Final = 30 * 60
_LOG_LINES: Final = 5


@dataclass(frozen=True, slots=True)
class BrokerRestorer:
    """Look, and take one step; what exists decides, so that a repetition continues."""

    services: Services
    tasks: RestoreTasks
    leases: NodeIdLeases
    journal: Journal
    control_stack: str

    def stop(
        self, operation: Operation, cluster: ClusterOutputs, memory: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Set the counts of connectors and brokers to zero, and wait until no task runs.

        Returns ``status`` ``STOPPED``, or ``WAITING`` with ``wait`` (seconds) and ``memory``.
        Raises ``TasksStillRunning``. Provisioning starts what was stopped.
        """
        self.journal.step(operation, SERVICES_STOP, "counts are set to zero")
        waiting = []
        for service in reversed(self.services.describe(cluster.ecs_cluster, cluster.service_names)):
            if service.status == "ACTIVE" and service.desired > 0:
                self.services.set_count(cluster.ecs_cluster, service.name, 0)
            left = service.running + service.pending
            if service.exists and (left or service.desired):
                waiting.append(f"{left} tasks of {service.name} run")
        if not waiting:
            return {"status": "STOPPED"}
        reason = "; ".join(waiting)
        now = epoch(self.journal.clock.now())
        wait = Wait.at(reason, now, Wait.read(memory.get("waited")))
        if wait.lasted(_STOP_PATIENCE, now):
            raise TasksStillRunning(
                f"Counts have been zero for {_STOP_PATIENCE // 60} minutes, yet {reason}.",
                next_step="Check the services' events in ECS (task protection), then start the "
                "same request again. To start the cluster as it was instead, provision it with "
                "parameters {}.",
            )
        self.journal.step(operation, SERVICES_STOP, reason)
        seconds = next_wait(min(wait.looks, 3), near_end=False)
        return {"status": "WAITING", "wait": seconds, "memory": {"waited": wait.as_state()}}

    def restore(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        *,
        target: Mapping[str, Any],
        brokers: int,
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Run the restore application once for each broker, all at the same time.

        Returns ``status`` ``RESTORED``, or ``WAITING`` with ``wait`` (seconds) and ``memory``.
        Raises ``RestoreFailed`` with the exit codes and the last lines of the logs.
        """
        started_by = _started_by(cluster, target)
        now = epoch(self.journal.clock.now())
        started: dict[str, int] = dict(memory.get("started", {}))
        tasks = self.tasks.list(cluster.ecs_cluster, started_by, started)
        listed = {one.task_id for one in tasks}
        decision = decide_tasks(
            tasks,
            brokers=brokers,
            restored=self.leases.restored(cluster.node_id_bucket),
            since=begun_at(operation),
            # What is not listed after a while has ended, longer ago than ECS describes it.
            unseen=sum(one not in listed and now - at <= APPEARS for one, at in started.items()),
        )
        self.journal.look(operation, BROKERS_RESTORED, decision.reason)
        wait = Wait.at(decision.progress, now, Wait.read(memory.get("waited")))
        reason = decision.reason
        match decision.action:
            case TasksAction.DONE:
                self.journal.step(operation, BROKERS_RESTORED, decision.reason)
                return {"status": "RESTORED"}
            case TasksAction.FAIL:
                raise RestoreFailed(self._failure(cluster, decision))
            case TasksAction.STOP:
                self.journal.step(operation, BROKERS_RESTORED, decision.reason)
                for task in decision.tasks:
                    self.tasks.stop(
                        cluster.ecs_cluster, task, "Another broker could not be restored"
                    )
            case TasksAction.RUN:
                self.journal.step(operation, BROKERS_RESTORED, decision.reason)
                ids, refused = self.tasks.run(
                    cluster,
                    count=decision.count,
                    environment=target["environment"],
                    started_by=started_by,
                    token=f"{operation.execution_arn}/{decision.progress}/{wait.looks}",
                    tags=tags(self.control_stack, operation.cluster),
                )
                reason = "; ".join((reason, *refused))
                started |= dict.fromkeys(ids, now)
            case TasksAction.WAIT:
                pass
        if wait.lasted(TASKS_PATIENCE, now):
            raise RestoreFailed(f"For {TASKS_PATIENCE // 3600} hours {reason}.")
        seconds = next_wait(wait.looks, near_end=False)
        kept = {"waited": wait.as_state(), "started": started}
        return {"status": "WAITING", "wait": seconds, "memory": kept}

    def _failure(self, cluster: ClusterOutputs, decision: TasksDecision) -> str:
        group = cluster.orchestration_log_group
        logged = [
            f"{task}: {' | '.join(lines)}"
            for task in decision.tasks
            if (lines := self.services.last_log_lines(group, task, _LOG_LINES))
        ]
        shown = f" Last lines in {group}: {'; '.join(logged)}" if logged else ""
        return f"The brokers could not be restored: {decision.reason}.{shown}"


def _started_by(cluster: ClusterOutputs, target: Mapping[str, Any]) -> str:
    """Name what started the tasks of one restore, however often it is started.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
    """
    text = f"{cluster.ecs_cluster}/{target['generation']}/{target['backup']}"
    return f"restore-{hashlib.sha256(text.encode()).hexdigest()[:24]}"
