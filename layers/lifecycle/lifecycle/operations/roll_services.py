"""Move brokers, one at a time, and then connectors to the newest revision of their tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.core.brokers import PROTECTION_MINUTES
from lifecycle.core.polling import next_wait
from lifecycle.core.rolling import (
    BROKER_PATIENCE,
    RollAction,
    RollDecision,
    RollObserved,
    decide_roll,
)
from lifecycle.core.services import minimum_healthy_percent
from lifecycle.errors import RollingUpdateFailed, ScalingNotSettled
from lifecycle.operations.start_services import move_connectors

if TYPE_CHECKING:
    from lifecycle.core.brokers import BrokerService
    from lifecycle.core.operation import Operation
    from lifecycle.operations.journal import Journal
    from lifecycle.ports import BrokerTasks, Probe, Services

STEP: Final = "Brokers move to the new revision"


@dataclass(frozen=True, slots=True)
class ServiceRoller:
    """Look, and take one step; with what that needs from outside."""

    services: Services
    tasks: BrokerTasks
    probe: Probe
    journal: Journal

    def roll(
        self, operation: Operation, cluster: Mapping[str, str], memory: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Take the next step of moving the brokers; when all are moved, move the connectors.

        ``memory`` is what the last look returned, empty at first: ``begun`` (whether this
        operation began a deployment), and since when (epoch seconds) and how many looks ``moved``
        has been what it is. Returns ``status`` ``ROLLED`` with ``since`` (ISO 8601), from when
        stopped tasks count, or ``WAITING`` with ``wait`` (seconds) and ``memory``. Raises
        ``RollingUpdateFailed``.
        """
        now = self.journal.clock.now()
        family = cluster["OrchestrationTaskFamily"]
        observed = self._observe(operation, cluster, int(now.timestamp()))
        begun = bool(memory.get("begun"))
        decision = decide_roll(observed, fresh=not begun)
        self.journal.step(operation, STEP, decision.reason)
        if decision.action is RollAction.DONE:
            self._move_connectors(cluster)
            return {"status": "ROLLED", "since": now.isoformat(timespec="seconds")}
        same = memory.get("moved") == decision.moved
        since = int(memory["since"]) if same else observed.now
        looks = int(memory["looks"]) + 1 if same else 1
        if decision.action is RollAction.WAIT and observed.now - since > BROKER_PATIENCE:
            raise RollingUpdateFailed(
                f"Moving the brokers to the newest revision of {family} made no progress for "
                f"{BROKER_PATIENCE // 60} minutes: {decision.reason}.",
                next_step="Look at what is named, at the newest task and its log, then start the "
                "same operation again; it continues from what exists. Brokers that wait stay "
                f"protected for up to {PROTECTION_MINUTES} minutes; after that ECS goes on by "
                "itself once as many tasks as now are healthy.",
            )
        self._act(cluster, observed, decision)
        return {
            "status": "WAITING",
            "wait": 1
            if decision.action is not RollAction.WAIT
            else next_wait(min(looks, 3), near_end=False),
            "memory": {
                "begun": begun or decision.begun or decision.action is RollAction.MOVE,
                "moved": decision.moved,
                "since": since,
                "looks": looks if decision.action is RollAction.WAIT else 1,
            },
        }

    def _observe(self, operation: Operation, cluster: Mapping[str, str], now: int) -> RollObserved:
        service = self.tasks.observe(
            cluster["EcsClusterName"],
            cluster["OrchestrationServiceName"],
            since=operation.started_at,
        )
        seen = self.probe.ask("brokers", {**cluster, "LiveBrokers": str(service.desired)})
        formation = seen["formation"]
        problems = tuple(formation["problems"]) or ("the brokers form the cluster",)
        return RollObserved(
            service=service,
            newest=self.services.newest_revision(cluster["OrchestrationTaskFamily"]),
            problems=() if formation["formed"] else problems,
            nodes=_nodes(service, seen["topology"]),
            now=now,
        )

    def _act(
        self, cluster: Mapping[str, str], observed: RollObserved, decision: RollDecision
    ) -> None:
        ecs_cluster, service = cluster["EcsClusterName"], observed.service
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
                self.services.move(
                    ecs_cluster,
                    service.name,
                    revision=observed.newest,
                    minimum_healthy=minimum_healthy_percent(service.desired),
                    # The same revision is deployed again only where ECS gave it up.
                    force=service.revision == observed.newest,
                )
            case _:
                pass

    def _move_connectors(self, cluster: Mapping[str, str]) -> None:
        name = cluster["ConnectorsServiceName"]
        (connectors,) = self.services.describe(cluster["EcsClusterName"], [name])
        move_connectors(self.services, cluster, connectors)


def _nodes(service: BrokerService, topology: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Broker id by task id, from the addresses that both have."""
    at = {row["host"]: row["broker"] for row in topology if isinstance(row["broker"], int)}
    return {task.task_id: at[task.address] for task in service.running if task.address in at}
