"""Bring brokers and connectors up, see them come up, and take them back if they do not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.checks import BROKER_TARGET_GROUPS
from lifecycle.cluster.names import stack_name
from lifecycle.cluster.planned_outputs import outputs_after
from lifecycle.cluster.polling import Wait, next_wait
from lifecycle.errors import PlanStale, RestoreUnfinished, StartFailed
from lifecycle.operation.steps import SERVICES_START
from lifecycle.services.definition import BROKERS, CONNECTORS, NAMES, deploys, unlike_plan
from lifecycle.services.images import makes_schema_alone, versions
from lifecycle.services.rolling import must_roll
from lifecycle.services.startup import (
    Service,
    StartDecision,
    StartState,
    decide_start,
    has_failed,
    must_start,
)
from lifecycle.services.state import ServiceState, service_states
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Stacks
    from lifecycle.cluster.stack import ChangeSet, Stack
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.provisioning.ports import NodeIdLeases
    from lifecycle.services.definition import Definition
    from lifecycle.services.ports import Services, TargetGroups

# Brokers pull a 1 GB image, wait for a lease and build their database schema: minutes, not hours.
START_SECONDS: Final = 30 * 60
_LOG_LINES: Final = 5
# What connectors need of the brokers. Tasks never see endpoints that are younger than they are.
_ENDPOINTS: Final = frozenset({"orchestration-cluster-grpc", "orchestration-cluster-rest"})


@dataclass(frozen=True, slots=True)
class ServiceReader:
    """The services of a cluster beside their definitions."""

    stacks: Stacks
    services: Services
    definitions: Mapping[str, Definition]
    control_stack: str

    def read(self, cluster: ClusterOutputs) -> tuple[ServiceState, ServiceState]:
        """Read brokers and connectors; ``cluster`` holds the outputs of the stack."""
        stack = self.stacks.describe(stack_name(self.control_stack, cluster.cluster_name))
        found = self.services.describe(cluster.ecs_cluster, NAMES)
        tags = stack.tags if stack is not None else {}
        return service_states(found, self.definitions, cluster, tags)

    def will_replace_brokers(
        self, stack: Stack, change_set: ChangeSet, parameters: Mapping[str, str]
    ) -> bool:
        """Whether brokers that run are replaced once the stack is as the change set makes it.

        ``parameters`` are all that the stack will have.
        """
        cluster = stack.outputs
        if not cluster.complete:
            return False
        found = self.services.describe(cluster.ecs_cluster, NAMES)
        after = outputs_after(cluster, parameters, change_set.changes)
        brokers, _ = service_states(found, self.definitions, after, stack.tags)
        return brokers.service.desired > 0 and deploys(brokers.differences)


@dataclass(frozen=True, slots=True)
class ServiceStarter:
    """Create the services, or make them what they are to be as far as no broker is replaced."""

    reader: ServiceReader
    services: Services
    leases: NodeIdLeases
    journal: Journal

    def start(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        *,
        planned: Mapping[str, Any] | None = None,
        schema_made: bool = False,
    ) -> dict[str, Any]:
        """Create or raise the brokers' service, and change in place what can be.

        ``planned`` are the definitions of a reviewed plan, if there is one; ``schema_made`` shows
        that the first broker of a new cluster has made the database's schema. A stopped cluster
        gets a broker for each node id that may be taken, a new one its bootstrap size. Returns
        ``scaledUp`` (names of the services that this call created or raised from zero; one of a
        call whose answer was lost is not among them, and its count stays), ``since`` (ISO 8601),
        from when stopped tasks count, ``roll``: whether brokers are to be replaced, one at a time,
        ``moves``: whether that begins now (an interrupted roll is continued, and what ECS gave up
        is mended), and ``schema``: whether the schema is waited for before the other brokers start.
        Raises ``PlanStale``, ``RestoreUnfinished``, ``StartFailed`` and ``ServiceDraining``;
        nothing was changed in ECS then.
        """
        since = self.journal.clock.now().isoformat(timespec="seconds")
        brokers, connectors = self.reader.read(cluster)
        _refuse_unlike_plan(planned or {}, brokers, connectors)
        brokers.refuse_new_service()
        connectors.refuse_new_service()
        present = brokers.service.desired
        if present == 0:
            self._refuse_unrestored(cluster)
        wanted, schema = self._wanted(cluster, present, schema_made=schema_made)
        count = 1 if schema else wanted
        self.journal.step(operation, SERVICES_START, f"{BROKERS}: {present} → {count}")
        scaled_up = self._brokers(cluster, brokers, count)
        roll = not must_start(brokers.service) and must_roll(brokers.service, brokers.differences)
        if not roll and connectors.service.exists:
            converge_connectors(self.services, cluster, connectors)
        return {
            "scaledUp": scaled_up,
            "since": since,
            "roll": roll,
            "moves": roll and deploys(brokers.differences),
            "schema": schema,
        }

    def _refuse_unrestored(self, cluster: ClusterOutputs) -> None:
        """Refuse to start brokers whose data a restore has replaced and has not restored yet.

        With an empty directory beside a database that is not, they would begin a log of their own,
        and export nothing until it is as long as the former one.
        """
        generation = cluster.get("DataGeneration", "1")
        restored = self.leases.restored(cluster.node_id_bucket) if generation != "1" else 0
        if generation == "1" or restored >= cluster.brokers:
            return
        raise RestoreUnfinished(
            f"The brokers' data number {generation} (output DataGeneration) is not complete: "
            "the bucket "
            f"{cluster.node_id_bucket} lists {restored} of {cluster.brokers} brokers as restored."
        )

    def _wanted(
        self, cluster: ClusterOutputs, present: int, *, schema_made: bool
    ) -> tuple[int, bool]:
        """How many brokers there are to be, and whether the first has to make the schema alone.

        A count that is there stays: it is the scale machine's, and a change that was cancelled can
        leave node ids that no member has. Only a broker that runs alone for the schema is no count.
        """
        alone = _makes_schema_alone(cluster)
        if present > (1 if alone else 0):
            return present, False
        members = self.leases.acquirable(cluster.node_id_bucket)
        wanted = max(present, members or cluster.brokers)
        return wanted, alone and wanted > 1 and not schema_made

    def _brokers(self, cluster: ClusterOutputs, state: ServiceState, count: int) -> list[str]:
        service = state.service
        if not service.exists:
            self.services.create({**state.rendered, **state.counted(count)})
            return [service.name]
        if must_start(service):
            # A new deployment, because the circuit breaker judges deployments only, and Service
            # Connect gives a task its endpoints as they were when its deployment began.
            self.services.update(
                cluster.ecs_cluster,
                service.name,
                {**state.everything, **state.counted(count)},
                redeploy=True,
            )
            self._retag(cluster, state)
            return [service.name] if service.desired == 0 else []
        # What begins a deployment takes everything else with it, in one call. A roll that goes on
        # begins none.
        begins = deploys(state.differences) or has_failed(service)
        changed = {} if begins else state.in_place
        if count != service.desired:
            changed |= state.counted(count)
        if changed:
            self.services.update(cluster.ecs_cluster, service.name, changed)
        self._retag(cluster, state)
        return []

    def _retag(self, cluster: ClusterOutputs, state: ServiceState) -> None:
        if state.retagged:
            self.services.tag(cluster.ecs_cluster, state.service.name, state.tags)

    def reset_counts(
        self, operation: Operation, cluster: ClusterOutputs, *, scaled_up: Sequence[str]
    ) -> dict[str, Any]:
        """Set back to zero the services that this very operation created or raised from zero.

        Services that had a count before are never lowered: they may hold partitions. A service is
        not deleted: an operator reads from it why it did not start.
        """
        for name in scaled_up:
            self.journal.step(operation, "Counts go back to zero", name)
            self.services.set_count(cluster.ecs_cluster, name, 0)
        return {"lowered": list(scaled_up)}


def _makes_schema_alone(cluster: ClusterOutputs) -> bool:
    return makes_schema_alone(versions(cluster).brokers)


def _refuse_unlike_plan(planned: Mapping[str, Any], *states: ServiceState) -> None:
    """Raise ``PlanStale`` where the services would become other ones than the plan has."""
    different = unlike_plan(planned, {one.service.name: one.rendered for one in states})
    if planned and different:
        raise PlanStale(
            "The infrastructure is as planned; the services were left unchanged because the "
            f"result would differ from the plan: {'; '.join(different)}.",
            next_step="Create a new plan: it contains the remaining changes.",
        )


@dataclass(frozen=True, slots=True)
class StartFollower:
    """See services come up, with what that needs from outside."""

    reader: ServiceReader
    services: Services
    targets: TargetGroups
    probe: Probe
    journal: Journal

    def follow(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        *,
        since: str,
        polls: int,
        waited: Mapping[str, Any] | None = None,
        schema: bool = False,
    ) -> dict[str, Any]:
        """Report how far the start is, and create the connectors when the brokers' names are there.

        ``since`` (ISO 8601) is from when stopped tasks count, ``waited`` what the last look
        returned as such, empty at first; after a pause of the execution both start anew.
        ``schema``: the first broker of a new cluster runs alone until the database's schema is
        made. Returns ``status`` ``STARTED`` with the ``topology``, ``SCHEMA`` when the first broker
        runs and the schema is to be looked at, or ``WAITING``, both with ``wait`` (seconds) and
        ``waited``; each with ``scaledUp`` (services that were created). Raises ``StartFailed`` with
        ECS's reason, the stop code and the last log lines.
        """
        brokers, connectors = self.reader.read(cluster)
        seen: Mapping[str, Any] = {}
        if brokers.service.running and not schema:
            seen = self.probe.query("brokers", cluster, expected=brokers.service.desired)
        unready = "" if schema else _unformed(seen) or self._brokers_wait(cluster, brokers.service)
        now, begun = epoch(self.journal.clock.now()), epoch(datetime.fromisoformat(since))
        before = Wait.read(waited) or Wait(SERVICES_START, begun, looks=0, seen=begun)
        lasting = Wait.at(SERVICES_START, now, before)
        counted = datetime.fromtimestamp(lasting.since, UTC).isoformat()
        decisions = [
            self._decide(cluster, brokers.service, counted, unready),
            self._decide(
                cluster,
                connectors.service,
                counted,
                self._connectors_wait(cluster, connectors.service),
            ),
        ]
        self._refuse_failed(decisions, lasting, now)
        waiting = [d.reason for d in decisions if d.state is StartState.WAITING]
        self.journal.step(operation, SERVICES_START, "; ".join(waiting) or "all started")
        # A few seconds decide here, and a start takes minutes, not hours.
        wait = next_wait(min(polls, 3), near_end=False)
        if schema:
            status = "SCHEMA" if decisions[0].state is StartState.STARTED else "WAITING"
            return {
                "status": status,
                "wait": wait,
                "waited": lasting.as_state(),
                "scaledUp": [],
            }
        scaled_up = self._connectors(brokers.service, connectors)
        if waiting or scaled_up:
            return {
                "status": "WAITING",
                "wait": wait,
                "waited": lasting.as_state(),
                "scaledUp": scaled_up,
            }
        return {"status": "STARTED", "topology": seen.get("topology", []), "scaledUp": []}

    def _refuse_failed(self, decisions: Sequence[StartDecision], lasting: Wait, now: int) -> None:
        for decision in decisions:
            if decision.state is StartState.FAILED:
                raise StartFailed(
                    f"The start failed: {decision.reason}",
                    next_step="Fix the cause (image, network, secrets, sizes) and start the same "
                    "operation again; it resumes where it stopped.",
                )
        waiting = [d.reason for d in decisions if d.state is StartState.WAITING]
        if waiting and lasting.lasted(START_SECONDS, now):
            raise StartFailed(
                f"The start took longer than {START_SECONDS // 60} minutes; still waiting for: "
                + "; ".join(waiting),
                next_step="Check the tasks' log groups, then start the same operation again; it "
                "resumes where it stopped.",
            )

    def _connectors(self, brokers: Service, connectors: ServiceState) -> list[str]:
        """Create the connectors' service once ECS lists the names by which it finds brokers.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-connect-concepts-deploy.html
        """
        primary = brokers.primary
        listed = primary is not None and set(primary.endpoints) >= _ENDPOINTS
        if connectors.service.exists or not listed:
            return []
        self.services.create(connectors.rendered)
        return [CONNECTORS]

    def _decide(
        self, cluster: ClusterOutputs, service: Service, since: str, unready: str
    ) -> StartDecision:
        stopped = (
            self.services.stopped_tasks(cluster.ecs_cluster, service.name, since)
            if service.exists
            else ()
        )
        decision = decide_start(service, stopped, unready)
        if decision.state is not StartState.FAILED or not stopped:
            return decision
        last = max(stopped, key=lambda task: task.stopped_at)
        group = (
            cluster.orchestration_log_group
            if service.name == BROKERS
            else cluster.connectors_log_group
        )
        lines = self.services.last_log_lines(group, last.task_id, _LOG_LINES)
        if not lines:
            return decision
        return StartDecision(decision.state, f"{decision.reason}; it logged: {' | '.join(lines)}")

    def _brokers_wait(self, cluster: ClusterOutputs, brokers: Service) -> str:
        """What the load balancers still wait for, though the cluster is formed.

        A target is ``initial`` while it is registered and until it has passed its first health
        checks, which takes minutes behind a Network Load Balancer. Source:
        https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
        """
        for name, output in BROKER_TARGET_GROUPS.items():
            healthy = self._healthy(cluster.required(output))
            if healthy < brokers.desired:
                return f"{healthy} of {brokers.desired} {name} targets are healthy"
        return ""

    def _connectors_wait(self, cluster: ClusterOutputs, connectors: Service) -> str:
        if connectors.desired == 0:
            return ""
        healthy = self._healthy(cluster.connectors_target_group)
        if healthy >= connectors.desired:
            return ""
        return f"{healthy} of {connectors.desired} pass their readiness check"

    def _healthy(self, group: str) -> int:
        return sum(1 for target in self.targets.health(group) if target.state == "healthy")


def converge_connectors(services: Services, cluster: ClusterOutputs, state: ServiceState) -> None:
    """Make the connectors what they are to be; they hold nothing, so ECS replaces them itself."""
    failed = has_failed(state.service)
    changed = state.everything
    turned_on = any(
        one.property == "enableExecuteCommand" and one.rendered for one in state.differences
    )
    if changed or failed:
        services.update(
            cluster.ecs_cluster,
            state.service.name,
            changed,
            redeploy=(failed or turned_on) and state.service.desired > 0,
        )
    if state.retagged:
        services.tag(cluster.ecs_cluster, state.service.name, state.tags)


def _unformed(seen: Mapping[str, Any]) -> str:
    if not seen:
        return "no broker runs yet"
    formation = seen["formation"]
    if formation["formed"]:
        return ""
    problems = formation["problems"]
    more = f" (and {len(problems) - 2} more)" if len(problems) > 2 else ""
    return "; ".join(problems[:2]) + more if problems else "the brokers form the cluster"
