"""Bring brokers and connectors up, see them come up, and take them back if they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.core.polling import next_wait
from lifecycle.core.rolling import must_roll
from lifecycle.core.services import (
    Service,
    StartDecision,
    StartState,
    decide_start,
    has_failed,
    minimum_healthy_percent,
    must_start,
)
from lifecycle.core.verification import BROKER_TARGET_GROUPS
from lifecycle.errors import StartFailed

if TYPE_CHECKING:
    from lifecycle.core.operation import Operation
    from lifecycle.operations.journal import Journal
    from lifecycle.ports import NodeIdLeases, Probe, Services, TargetGroups

# Brokers pull a 1 GB image, wait for a lease and build their database schema: minutes, not hours.
START_SECONDS: Final = 30 * 60
STEP: Final = "Brokers and connectors start"
_LOG_LINES: Final = 5


@dataclass(frozen=True, slots=True)
class ServiceStarter:
    """Raise counts, and take back what was raised."""

    services: Services
    leases: NodeIdLeases
    journal: Journal

    def start(self, operation: Operation, cluster: Mapping[str, str]) -> dict[str, Any]:
        """Raise each service that stands at zero; one that has a count already keeps it.

        Returns ``raised`` (names of the services this operation raised), ``since`` (ISO 8601),
        from when stopped tasks count, and ``roll``: whether brokers that run are to be moved to
        another revision, one at a time, and connectors after them. Raises ``StartFailed`` for a
        stopped cluster that has had more brokers than it was bootstrapped with.
        """
        since = self.journal.clock.now().isoformat(timespec="seconds")
        raised: list[str] = []
        brokers, connectors = _describe(self.services, cluster)
        planned = (
            (brokers, int(cluster["Brokers"]), cluster["OrchestrationTaskFamily"]),
            (connectors, int(cluster["Connectors"]), cluster["ConnectorsTaskFamily"]),
        )
        if brokers.desired == 0:
            self._refuse_scaled(cluster)
        for service, count, family in planned:
            self.journal.step(operation, STEP, f"{service.name}: {service.desired} → {count}")
            if count > 0 and must_start(service):
                if service.desired == 0:
                    raised.append(service.name)
                self.services.start(
                    cluster["EcsClusterName"],
                    service.name,
                    family=family,
                    count=service.desired or count,
                    minimum_healthy=minimum_healthy_percent(service.desired or count),
                )
        newest = self.services.newest_revision(cluster["OrchestrationTaskFamily"])
        roll = not must_start(brokers) and must_roll(brokers, newest)
        if not roll and not must_start(connectors):
            move_connectors(self.services, cluster, connectors)
        return {"raised": raised, "since": since, "roll": roll}

    def _refuse_scaled(self, cluster: Mapping[str, str]) -> None:
        """Refuse to guess the size of a stopped cluster: its members can be asked only alive."""
        bootstrap = int(cluster["Brokers"])
        leases = self.leases.count(cluster["NodeIdBucketName"])
        if leases > bootstrap:
            raise StartFailed(
                f"The brokers stand at zero, and the cluster has had up to {leases} of them, more "
                f"than the {bootstrap} of its bootstrap; starting too few would leave partitions "
                "without replicas.",
                next_step="Set the desired count of the service to the number of brokers the "
                "cluster had, wait until they run, then start the same operation again.",
            )

    def take_back(
        self, operation: Operation, cluster: Mapping[str, str], *, raised: Sequence[str]
    ) -> dict[str, Any]:
        """Set back to zero the services that this very operation raised from zero.

        Services that had a count before are never lowered: they may hold partitions.
        """
        for name in raised:
            self.journal.step(operation, "Counts go back to zero", name)
            self.services.set_count(cluster["EcsClusterName"], name, 0)
        return {"lowered": list(raised)}


@dataclass(frozen=True, slots=True)
class StartFollower:
    """See services come up, with what that needs from outside."""

    services: Services
    targets: TargetGroups
    probe: Probe
    journal: Journal

    def follow(
        self, operation: Operation, cluster: Mapping[str, str], *, since: str, polls: int
    ) -> dict[str, Any]:
        """Tell how far the start is.

        Returns ``status`` ``STARTED`` with the ``topology``, or ``WAITING`` with ``wait``
        (seconds) and ``detail``. Raises ``StartFailed`` with ECS's reason, the stop code and the
        last log lines.
        """
        brokers, connectors = _describe(self.services, cluster)
        seen: Mapping[str, Any] = {}
        if brokers.running:
            seen = self.probe.ask("brokers", {**cluster, "LiveBrokers": str(brokers.desired)})
        decisions = [
            self._decide(
                cluster, brokers, since, _unformed(seen) or self._brokers_wait(cluster, brokers)
            ),
            self._decide(cluster, connectors, since, self._connectors_wait(cluster, connectors)),
        ]
        for decision in decisions:
            if decision.state is StartState.FAILED:
                raise StartFailed(
                    f"The start failed: {decision.reason}",
                    next_step="Remove the cause (image, network, secrets, sizes) and start the "
                    "same operation again; it continues from what exists.",
                )
        waiting = [d.reason for d in decisions if d.state is StartState.WAITING]
        elapsed = self.journal.clock.now() - datetime.fromisoformat(since)
        if waiting and elapsed.total_seconds() > START_SECONDS:
            raise StartFailed(
                f"The start took longer than {START_SECONDS // 60} minutes; still waiting for: "
                + "; ".join(waiting),
                next_step="Look at the tasks' log groups, then start the same operation again; "
                "it continues from what exists.",
            )
        self.journal.step(operation, STEP, "; ".join(waiting) or "all started")
        if waiting:
            # A few seconds decide here, and a start takes minutes, not hours.
            return {"status": "WAITING", "wait": next_wait(min(polls, 3), near_end=False)}
        return {"status": "STARTED", "topology": seen.get("topology", [])}

    def _decide(
        self, cluster: Mapping[str, str], service: Service, since: str, unformed: str
    ) -> StartDecision:
        stopped = self.services.stopped_tasks(cluster["EcsClusterName"], service.name, since)
        decision = decide_start(service, stopped, unformed)
        if decision.state is not StartState.FAILED or not stopped:
            return decision
        last = max(stopped, key=lambda task: task.stopped_at)
        group = (
            cluster["OrchestrationLogGroup"]
            if service.name == cluster["OrchestrationServiceName"]
            else cluster["ConnectorsLogGroup"]
        )
        lines = self.services.last_log_lines(group, last.task_id, _LOG_LINES)
        if not lines:
            return decision
        return StartDecision(decision.state, f"{decision.reason}; it logged: {' | '.join(lines)}")

    def _brokers_wait(self, cluster: Mapping[str, str], brokers: Service) -> str:
        """What the load balancers still wait for, though the cluster is formed.

        A target is ``initial`` while it is registered and until it has passed its first health
        checks, which takes minutes behind a Network Load Balancer. Source:
        https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
        """
        for name, output in BROKER_TARGET_GROUPS.items():
            healthy = self._healthy(cluster[output])
            if healthy < brokers.desired:
                return f"{healthy} of {brokers.desired} {name} targets are healthy"
        return ""

    def _connectors_wait(self, cluster: Mapping[str, str], connectors: Service) -> str:
        if connectors.desired == 0:
            return ""
        healthy = self._healthy(cluster["ConnectorsTargetGroupArn"])
        if healthy >= connectors.desired:
            return ""
        return f"{healthy} of {connectors.desired} answer their readiness check"

    def _healthy(self, group: str) -> int:
        return sum(1 for target in self.targets.health(group) if target.state == "healthy")


def move_connectors(services: Services, cluster: Mapping[str, str], connectors: Service) -> None:
    """Let connectors that run take their newest revision; they hold nothing, so ECS may do it."""
    newest = services.newest_revision(cluster["ConnectorsTaskFamily"])
    failed = has_failed(connectors)
    if connectors.desired and (failed or connectors.revision != newest):
        services.move(
            cluster["EcsClusterName"],
            connectors.name,
            revision=newest,
            minimum_healthy=None,
            force=failed,
        )


def _describe(services: Services, cluster: Mapping[str, str]) -> tuple[Service, Service]:
    names = (cluster["OrchestrationServiceName"], cluster["ConnectorsServiceName"])
    brokers, connectors = services.describe(cluster["EcsClusterName"], names)
    return brokers, connectors


def _unformed(seen: Mapping[str, Any]) -> str:
    if not seen:
        return "no broker runs yet"
    formation = seen["formation"]
    if formation["formed"]:
        return ""
    problems = formation["problems"]
    more = f" (and {len(problems) - 2} more)" if len(problems) > 2 else ""
    return "; ".join(problems[:2]) + more if problems else "the brokers form the cluster"
