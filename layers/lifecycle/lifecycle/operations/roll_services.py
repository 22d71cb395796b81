"""Replace brokers, one at a time, and then let the connectors follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.service_definition import EFFECTS, Effect, deploys
from lifecycle.core.brokers import PROTECTION_MINUTES
from lifecycle.core.exporting import judge_exporting
from lifecycle.core.polling import next_wait
from lifecycle.core.rolling import (
    BROKER_PATIENCE,
    RollAction,
    RollDecision,
    RollObserved,
    decide_roll,
)
from lifecycle.errors import RollingUpdateFailed, ScalingNotSettled
from lifecycle.operations.start_services import converge_connectors

if TYPE_CHECKING:
    from lifecycle.cluster.service_state import ServiceState
    from lifecycle.core.brokers import BrokerService
    from lifecycle.core.operation import Operation
    from lifecycle.operations.journal import Journal
    from lifecycle.operations.start_services import ServiceReader
    from lifecycle.ports import BrokerTasks, Probe, Services

STEP: Final = "Brokers are replaced"
# Seconds between the looks in which the cluster has to be whole in a row.
_BETWEEN_LOOKS: Final = 2


@dataclass(frozen=True, slots=True)
class ServiceRoller:
    """Look, and take one step; with what that needs from outside."""

    reader: ServiceReader
    services: Services
    tasks: BrokerTasks
    probe: Probe
    journal: Journal

    def roll(
        self,
        operation: Operation,
        cluster: Mapping[str, str],
        memory: Mapping[str, Any],
        *,
        restart: bool = False,
    ) -> dict[str, Any]:
        """Take the next step of replacing the brokers; when all are, let the connectors follow.

        ``memory`` is what the last look returned, empty at first: ``begun`` (whether this
        operation began a deployment), ``whole`` (in how many looks in a row nothing was lacking),
        ``exporting`` (the notes of ``judge_exporting``; none while the cluster is not whole), and
        since when (epoch seconds) and how many looks ``moved`` has been what it is. With
        ``restart`` every broker is replaced, whatever it runs. Returns ``status`` ``ROLLED`` with
        ``since`` (ISO 8601), from when stopped tasks count, or ``WAITING`` with ``wait`` (seconds)
        and ``memory``. Raises ``RollingUpdateFailed``.
        """
        now = self.journal.clock.now()
        brokers, connectors = self.reader.read(cluster)
        observed, notes = self._observe(operation, cluster, brokers, memory, restart=restart)
        begun = bool(memory.get("begun"))
        decision = decide_roll(observed, fresh=not begun)
        self.journal.step(operation, STEP, decision.reason)
        if decision.action is RollAction.DONE:
            if connectors.service.exists:
                converge_connectors(self.services, cluster, connectors)
            return {"status": "ROLLED", "since": now.isoformat(timespec="seconds")}
        same = memory.get("moved") == decision.moved
        since = int(memory["since"]) if same else observed.now
        looks = int(memory["looks"]) + 1 if same else 1
        if decision.action is RollAction.WAIT and observed.now - since > BROKER_PATIENCE:
            raise RollingUpdateFailed(
                f"Replacing the brokers made no progress for {BROKER_PATIENCE // 60} minutes: "
                f"{decision.reason}.",
                next_step="Look at what is named, at the newest task and its log, then start the "
                "same operation again; it continues from what exists. Brokers that wait stay "
                f"protected for up to {PROTECTION_MINUTES} minutes; after that ECS goes on by "
                "itself once as many tasks as now are healthy.",
            )
        self._act(cluster, brokers, decision)
        return {
            "status": "WAITING",
            "wait": _wait(decision, looks),
            "memory": {
                "begun": begun or decision.begun or decision.action is RollAction.MOVE,
                "moved": decision.moved,
                "whole": decision.whole,
                "exporting": notes if decision.action is RollAction.WAIT else {},
                "since": since,
                "looks": looks if decision.action is RollAction.WAIT else 1,
            },
        }

    def _observe(
        self,
        operation: Operation,
        cluster: Mapping[str, str],
        brokers: ServiceState,
        memory: Mapping[str, Any],
        *,
        restart: bool,
    ) -> tuple[RollObserved, dict[str, Any]]:
        service = self.tasks.observe(
            cluster["EcsClusterName"], brokers.service.name, since=operation.started_at
        )
        seen = self.probe.ask("rolling", {**cluster, "LiveBrokers": str(service.desired)})
        formation = seen["formation"]
        problems = tuple(formation["problems"]) or ("the brokers form the cluster",)
        begun_at = int(datetime.fromisoformat(operation.started_at).timestamp())
        formed = bool(formation["formed"])
        exported = judge_exporting(
            seen["topology"] if formed else [], seen["exporting"], memory.get("exporting") or {}
        )
        return RollObserved(
            service=service,
            differs=deploys(brokers.differences),
            problems=() if formed else problems,
            exporting=exported.problems,
            nodes=_nodes(service, seen["topology"]),
            now=int(self.journal.clock.now().timestamp()),
            restart_since=begun_at if restart else 0,
            whole=int(memory.get("whole", 0)),
        ), exported.notes

    def _act(
        self,
        cluster: Mapping[str, str],
        brokers: ServiceState,
        decision: RollDecision,
    ) -> None:
        ecs_cluster = cluster["EcsClusterName"]
        match decision.action:
            case RollAction.PROTECT:
                try:
                    self.tasks.protect(ecs_cluster, decision.tasks, minutes=PROTECTION_MINUTES)
                except ScalingNotSettled as error:
                    raise RollingUpdateFailed(
                        f"{decision.reason}, but {error.message}",
                        next_step="No further broker was released. Start the same operation "
                        "again; it continues from what exists.",
                    ) from error
            case RollAction.RELEASE:
                self.tasks.unprotect(ecs_cluster, decision.tasks)
            case RollAction.MOVE:
                self._move(ecs_cluster, brokers)
            case _:
                pass

    def _move(self, ecs_cluster: str, brokers: ServiceState) -> None:
        """Begin one deployment, with everything that differs in one call."""
        begins = any(EFFECTS[one.property] is Effect.DEPLOYS for one in brokers.differences)
        self.services.update(
            ecs_cluster, brokers.service.name, brokers.everything, redeploy=not begins
        )
        if brokers.retagged:
            self.services.tag(ecs_cluster, brokers.service.name, brokers.tags)


def _wait(decision: RollDecision, looks: int) -> int:
    if decision.action is not RollAction.WAIT:
        return 1
    return _BETWEEN_LOOKS if decision.whole else next_wait(min(looks, 3), near_end=False)


def _nodes(service: BrokerService, topology: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Broker id by task id, from the addresses that both have."""
    at = {row["host"]: row["broker"] for row in topology if isinstance(row["broker"], int)}
    return {task.task_id: at[task.address] for task in service.running if task.address in at}
