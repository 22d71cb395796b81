"""Restart the tasks of a service: the same revision, the same settings, other processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.checks import BROKER_TARGET_GROUPS
from lifecycle.cluster.polling import Wait, next_wait
from lifecycle.errors import RestartFailed, RestartRefused
from lifecycle.operation.steps import SERVICE_RESTARTED
from lifecycle.provisioning.roll_services import begun_at, look
from lifecycle.restart.decisions import (
    BrokerRestartObserved,
    RestartAction,
    decide_broker_restart,
    decide_connectors_restart,
)
from lifecycle.restart.request import RestartedService
from lifecycle.services.rolling import BROKER_PATIENCE, PATIENCE_BEFORE, seconds_to_wait
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.provisioning.roll_services import BrokerReplacer
    from lifecycle.restart.decisions import RestartDecision
    from lifecycle.services.ports import BrokerTasks, Services, TargetGroups
    from lifecycle.services.startup import Service


@dataclass(frozen=True, slots=True)
class ServiceRestarter:
    """Look, and take one step; with what that needs from outside."""

    services: Services
    tasks: BrokerTasks
    targets: TargetGroups
    probe: Probe
    replacer: BrokerReplacer
    journal: Journal

    def restart(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        *,
        service: str,
        broker: int | None,
        memory: Mapping[str, Any],
        required: bool = True,
        since: int | None = None,
        until: str = "",
    ) -> dict[str, Any]:
        """Take the next step; nothing but tasks is changed, whatever else differs.

        ``required`` false accepts that no connectors are to run: what is left of them has to stop.
        ``since`` (epoch seconds) is from when a deployment of the connectors counts as the restart,
        None for the begin of the operation. After ``until`` (ISO 8601, empty for at any time) no
        restart of all brokers is begun: ``BackupOutdated``.
        ``memory`` is what the last look returned, empty at first. Returns ``status`` ``RESTARTED``
        or ``WAITING`` with ``wait`` (seconds) and ``memory``. Raises ``RestartRefused`` (nothing
        was changed), ``RestartFailed`` and ``RollingUpdateFailed``.
        """
        names = (cluster.orchestration_service, cluster.connectors_service)
        brokers, connectors = self.services.describe(cluster.ecs_cluster, names)
        if service == RestartedService.CONNECTORS:
            counts = begun_at(operation) if since is None else since
            answer = self._connectors(
                operation, cluster, connectors, memory, required=required, since=counts
            )
            if connectors.desired == 0:
                return answer
            groups, count = {"connectors": "ConnectorsTargetGroupArn"}, connectors.desired
        else:
            if brokers.desired == 0:
                raise RestartRefused(
                    "The desired count of the brokers is 0, so there is nothing to restart.",
                    next_step="Provision: it starts the brokers.",
                )
            answer = (
                self._brokers(operation, cluster, memory, until)
                if broker is None
                else self._broker(operation, cluster, broker, memory)
            )
            groups, count = dict(BROKER_TARGET_GROUPS), brokers.desired
        if answer["status"] != "RESTARTED":
            return answer
        return self._served(operation, cluster, groups, count, memory)

    def _served(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        groups: Mapping[str, str],
        count: int,
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Wait until the load balancers find every task healthy, which takes them minutes."""
        for name, output in groups.items():
            healthy = sum(
                one.state == "healthy" for one in self.targets.health(cluster.required(output))
            )
            if healthy < count:
                reason = f"{healthy} of {count} {name} targets are healthy"
                break
        else:
            return {"status": "RESTARTED"}
        self.journal.look(operation, SERVICE_RESTARTED, reason)
        now = epoch(self.journal.clock.now())
        wait = Wait.at("targets", now, Wait.read(memory.get("served")))
        if wait.lasted(BROKER_PATIENCE, now):
            raise RestartFailed(
                f"Every task was restarted, but for {BROKER_PATIENCE // 60} minutes {reason}."
            )
        seconds = next_wait(min(wait.looks - 1, 3), near_end=False)
        kept = {**memory, "served": wait.as_state()}
        return {"status": "WAITING", "wait": seconds, "memory": kept}

    def _brokers(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        memory: Mapping[str, Any],
        until: str,
    ) -> dict[str, Any]:
        ecs_cluster, name = cluster.ecs_cluster, cluster.orchestration_service
        answer = self.replacer.replace(
            operation,
            cluster,
            memory,
            differs=False,
            move=lambda: self.services.update(ecs_cluster, name, {}, redeploy=True),
            restart=True,
            step=SERVICE_RESTARTED,
            until=until,
        )
        return {"status": "RESTARTED"} if answer["status"] == "ROLLED" else answer

    def _broker(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        broker: int,
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        seen = look(self.tasks, self.probe, operation, cluster, without=broker)
        decision = decide_broker_restart(
            BrokerRestartObserved(
                broker=broker,
                service=seen.service,
                nodes=seen.nodes,
                problems=seen.problems,
                others=seen.others,
                since=begun_at(operation),
                whole=int(memory.get("whole", 0)),
                stopped=str(memory.get("stopped", "")),
            )
        )
        self.journal.look(operation, SERVICE_RESTARTED, decision.reason)
        if decision.action is RestartAction.STOP:
            self.journal.change(operation, f"it stopped task {decision.task}")
            reason = f"Restarted by {operation.operation_id}"
            self.tasks.stop(cluster.ecs_cluster, decision.task, reason)
            memory = {**memory, "stopped": decision.task}
        return self._followed(decision, memory, f"broker {broker}")

    def _connectors(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        connectors: Service,
        memory: Mapping[str, Any],
        *,
        required: bool,
        since: int,
    ) -> dict[str, Any]:
        former = str(memory.get("former", ""))
        tasks = (
            self.services.living_tasks(cluster.ecs_cluster, connectors.name)
            if connectors.exists
            else ()
        )
        decision = decide_connectors_restart(
            connectors, since, former, tasks=tasks, required=required
        )
        self.journal.look(operation, SERVICE_RESTARTED, decision.reason)
        if decision.action is RestartAction.DEPLOY:
            self.journal.change(operation, "it deployed the connectors")
            self.services.update(cluster.ecs_cluster, connectors.name, {}, redeploy=True)
            before = connectors.primary
            memory = {**memory, "former": before.deployment_id if before is not None else ""}
        return self._followed(decision, memory, "the connectors")

    def _followed(
        self, decision: RestartDecision, memory: Mapping[str, Any], what: str
    ) -> dict[str, Any]:
        """Return what the machine carries on; end what makes no progress."""
        if decision.action is RestartAction.DONE:
            return {"status": "RESTARTED"}
        now = epoch(self.journal.clock.now())
        wait = Wait.at(int(decision.gone), now, Wait.read(memory.get("waited")))
        waits = decision.action is RestartAction.WAIT
        patience = BROKER_PATIENCE if decision.gone else PATIENCE_BEFORE
        if waits and wait.lasted(patience, now):
            waited = f"for {patience // 60} minutes: {decision.reason}."
            if decision.gone:
                raise RestartFailed(f"Restarting {what} made no progress {waited}")
            raise RestartRefused(f"The other brokers were not healthy {waited}")
        return {
            "status": "WAITING",
            "wait": seconds_to_wait(waits=waits, whole=decision.whole, looks=wait.looks),
            "memory": {
                **{name: memory[name] for name in ("former", "stopped") if name in memory},
                "waited": (wait if waits else replace(wait, looks=1)).as_state(),
                "whole": decision.whole,
            },
        }
