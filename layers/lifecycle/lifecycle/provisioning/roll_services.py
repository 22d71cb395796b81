"""Replace brokers, one at a time, and then let the connectors follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifecycle.camunda.exporting import judge_exporting
from lifecycle.cluster.polling import Wait
from lifecycle.errors import RestartRefused, RollingUpdateFailed, StabilizationTimeout
from lifecycle.operation.steps import BROKERS_REPLACED
from lifecycle.preflight.backup_gate import refuse_outdated
from lifecycle.provisioning.start_services import converge_connectors
from lifecycle.services.brokers import PROTECTION_MINUTES
from lifecycle.services.definition import EFFECTS, Effect, deploys
from lifecycle.services.rolling import (
    BROKER_PATIENCE,
    PATIENCE_BEFORE,
    RollAction,
    RollDecision,
    RollObserved,
    decide_roll,
    seconds_to_wait,
)
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.provisioning.start_services import ServiceReader
    from lifecycle.services.brokers import BrokerService
    from lifecycle.services.ports import BrokerTasks, Services


@dataclass(frozen=True, slots=True)
class ServiceRoller:
    """Make the services what they are to be, brokers one at a time."""

    reader: ServiceReader
    services: Services
    replacer: BrokerReplacer

    def roll(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        memory: Mapping[str, Any],
        *,
        until: str = "",
    ) -> dict[str, Any]:
        """Take the next step of replacing the brokers; when all are, let the connectors follow.

        Returns what ``BrokerReplacer.replace`` returns, with its ``memory``. Raises
        ``RollingUpdateFailed`` and, for what would begin after ``until``, ``BackupOutdated``.
        """
        brokers, connectors = self.reader.read(cluster)

        def move() -> None:
            """Begin one deployment, with everything that differs in one call."""
            ecs_cluster, name = cluster.ecs_cluster, brokers.service.name
            begins = any(EFFECTS[one.property] is Effect.DEPLOYS for one in brokers.differences)
            self.services.update(ecs_cluster, name, brokers.everything, redeploy=not begins)
            if brokers.retagged:
                self.services.tag(ecs_cluster, name, brokers.tags)

        answer = self.replacer.replace(
            operation, cluster, memory, differs=deploys(brokers.differences), move=move, until=until
        )
        if answer["status"] == "ROLLED" and connectors.service.exists:
            converge_connectors(self.services, cluster, connectors)
        return answer


@dataclass(frozen=True, slots=True)
class BrokerReplacer:
    """Look, and take one step; with what that needs from outside."""

    tasks: BrokerTasks
    probe: Probe
    journal: Journal

    def replace(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        memory: Mapping[str, Any],
        *,
        differs: bool,
        move: Callable[[], None],
        restart: bool = False,
        step: str = BROKERS_REPLACED,
        until: str = "",
    ) -> dict[str, Any]:
        """Take the next step of replacing every broker by one of a new deployment.

        ``memory`` is what the last look returned, empty at first: ``begun`` (whether this
        operation began a deployment), ``former`` (the one before, of a restart), ``aim`` (the one
        that is continued), ``whole`` (in how many looks in a row nothing was lacking),
        ``exporting`` (the notes of ``judge_exporting``; none while the cluster is not whole), and
        ``waited`` (how long as many brokers as now have been replaced). ``move`` begins the
        deployment; ``differs`` shows that the service is to be another one; with ``restart`` every
        broker is replaced, whatever it runs; ``step`` names it on the timeline. After ``until``
        (ISO 8601, empty for at any time) nothing is begun any more: ``BackupOutdated``.
        Returns ``status`` ``ROLLED`` with ``since`` (ISO 8601), from when stopped tasks count, or
        ``WAITING`` with ``wait`` (seconds) and ``memory``. Raises ``RollingUpdateFailed``, and
        ``RestartRefused`` for a restart of a cluster that does not get whole.
        """
        now = self.journal.clock.now()
        observed, notes = self._observe(
            operation, cluster, memory, differs=differs, restart=restart
        )
        begun = bool(memory.get("begun"))
        decision = decide_roll(observed, fresh=not begun)
        self.journal.look(operation, step, decision.reason)
        if decision.action is RollAction.DONE:
            return {"status": "ROLLED", "since": now.isoformat(timespec="seconds")}
        wait = Wait.at(decision.moved, observed.now, Wait.read(memory.get("waited")))
        waits = decision.action is RollAction.WAIT
        untouched = restart and not begun and not decision.begun
        if untouched and waits and wait.lasted(PATIENCE_BEFORE, observed.now):
            raise RestartRefused(
                f"The cluster was not healthy for {PATIENCE_BEFORE // 60} minutes: "
                f"{decision.reason}. No broker was replaced."
            )
        if waits and wait.lasted(BROKER_PATIENCE, observed.now):
            raise RollingUpdateFailed(
                f"Replacing the brokers made no progress for {BROKER_PATIENCE // 60} minutes: "
                f"{decision.reason}.",
                next_step="Check what is listed, the newest task and its log, then start the "
                "same operation again; it resumes where it stopped. Waiting brokers "
                f"stay protected for up to {PROTECTION_MINUTES} minutes; after that ECS "
                "continues on its own once as many tasks as now are healthy.",
            )
        former = str(memory.get("former", ""))
        if not waits and not decision.begun:
            refuse_outdated(until, now, "no broker was replaced")
        if not waits:
            self.journal.change(operation, "it changed the brokers")
        if decision.action is RollAction.MOVE:
            former = _primary(observed.service) if restart else ""
            move()
        else:
            self._protection(cluster.ecs_cluster, decision)
        return {
            "status": "WAITING",
            "wait": seconds_to_wait(waits=waits, whole=decision.whole, looks=wait.looks),
            "memory": {
                "begun": begun or decision.begun or decision.action is RollAction.MOVE,
                "whole": decision.whole,
                "exporting": notes if waits else {},
                "waited": (wait if waits else replace(wait, looks=1)).as_state(),
                "former": former,
                "aim": _primary(observed.service) if decision.begun else "",
            },
        }

    def _observe(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        memory: Mapping[str, Any],
        *,
        differs: bool,
        restart: bool,
    ) -> tuple[RollObserved, dict[str, Any]]:
        seen = look(self.tasks, self.probe, operation, cluster)
        exported = judge_exporting(
            seen.topology if not seen.problems else [],
            seen.exporting,
            memory.get("exporting") or {},
        )
        observed = RollObserved(
            service=seen.service,
            differs=differs,
            problems=seen.problems,
            exporting=exported.problems,
            nodes=seen.nodes,
            now=epoch(self.journal.clock.now()),
            restart_since=begun_at(operation) if restart else 0,
            whole=int(memory.get("whole", 0)),
            former=str(memory.get("former", "")),
            aim=str(memory.get("aim", "")),
        )
        return observed, exported.notes

    def _protection(self, ecs_cluster: str, decision: RollDecision) -> None:
        if decision.action is RollAction.PROTECT:
            try:
                self.tasks.protect(ecs_cluster, decision.tasks, minutes=PROTECTION_MINUTES)
            except StabilizationTimeout as error:
                raise RollingUpdateFailed(
                    f"{decision.reason}, but {error.message}",
                    next_step="No further broker was released. Start the same operation again; "
                    "it resumes where it stopped.",
                ) from error
        elif decision.action is RollAction.RELEASE:
            self.tasks.unprotect(ecs_cluster, decision.tasks)


@dataclass(frozen=True, slots=True)
class Look:
    """The brokers' service and the cluster they form.

    ``problems`` list what the cluster lacks to be whole, ``others`` the same without the broker
    requested; ``nodes`` give the broker id by task id, from the addresses that both have.
    ``topology`` and ``exporting`` are as the brokers report them, the latter empty while the
    cluster is not formed.
    """

    service: BrokerService
    problems: tuple[str, ...]
    others: tuple[str, ...]
    nodes: Mapping[str, int]
    topology: Sequence[Mapping[str, Any]]
    exporting: Sequence[Mapping[str, Any]]


def look(
    tasks: BrokerTasks,
    probe: Probe,
    operation: Operation,
    cluster: ClusterOutputs,
    without: int | None = None,
) -> Look:
    """Look at tasks and brokers; ``without`` a broker that is to be stopped."""
    name = cluster.orchestration_service
    service = tasks.observe(cluster.ecs_cluster, name, since=operation.started_at)
    seen = probe.query("rolling", cluster, expected=service.desired, without=without)
    return Look(
        service=service,
        problems=_problems(seen["formation"]),
        others=_problems(seen["others"]) if without is not None else (),
        nodes=_nodes(service, seen["topology"]),
        topology=seen["topology"],
        exporting=seen["exporting"],
    )


def _problems(formation: Mapping[str, Any]) -> tuple[str, ...]:
    problems = tuple(formation["problems"]) or ("the brokers form the cluster",)
    return () if formation["formed"] else problems


def _primary(service: BrokerService) -> str:
    """Return the id of the deployment that ECS works on; empty where there is none."""
    return next((d.deployment_id for d in service.deployments if d.status == "PRIMARY"), "")


def begun_at(operation: Operation) -> int:
    """Return the second (epoch) in which the operation began."""
    return epoch(datetime.fromisoformat(operation.started_at))


def _nodes(service: BrokerService, topology: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Broker id by task id, from the addresses that both have."""
    at = {row["host"]: row["broker"] for row in topology if isinstance(row["broker"], int)}
    return {task.task_id: at[task.address] for task in service.running if task.address in at}
