"""Scale the brokers of a cluster: observe and decide; set the count; protect tasks.

Observing changes nothing. What changes something reads first whether it is still right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.topology import (
    Readiness,
    ReadinessState,
    read_configuration,
    read_planned_change,
    read_topology,
    topology_table,
)
from lifecycle.cluster.checks import BROKER_TARGET_GROUPS, overall
from lifecycle.cluster.find import find_cluster, refuse_another
from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.observability import logger, of_aws
from lifecycle.operation.scaling_note import AFTER, ScalingNote
from lifecycle.operation.steps import OBSERVATION
from lifecycle.scaling.decision import Action, Decision, Memory, Observed, decide
from lifecycle.scaling.partitions import decide_partitions
from lifecycle.scaling.plan import cost_of
from lifecycle.scaling.preconditions import ScalingContext
from lifecycle.scaling.sight import on_the_move, topology_rows
from lifecycle.services.brokers import (
    BackupsOfPartitions,
    BrokersSeen,
    span,
    tasks_of_brokers,
)
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Stacks
    from lifecycle.cluster.stack import Stack
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.operation.record import Stage
    from lifecycle.scaling.ports import FargateQuota
    from lifecycle.services.ports import BrokerTasks, ScalableTargets, TargetGroups

_CPU_UNITS: Final = 1024


@dataclass(frozen=True, slots=True)
class BrokerReader:
    """Everything that is to be known of a cluster before a decision; nothing is changed."""

    stacks: Stacks
    tasks: BrokerTasks
    probe: Probe
    quota: FargateQuota
    scalable: ScalableTargets
    control_stack: str

    def stack(self, cluster: str) -> Stack:
        """Read the cluster's stack, whose outputs are its contract. Raises as ``find_cluster``."""
        return find_cluster(self.stacks, self.control_stack, cluster)

    def observe(
        self,
        stack: Stack,
        requested: int,
        *,
        since: str,
        now: int,
        with_quota: bool,
        partitions: int = 0,
        backup: int = 0,
    ) -> Observed:
        """Read service, tasks and brokers. ``since`` (ISO 8601): from when failed tasks count.

        ``requested`` are brokers; with ``partitions`` those are requested instead, and backups are
        read, that one whose id is ``backup`` too.
        """
        cluster = stack.outputs
        service = self.tasks.observe(
            cluster.ecs_cluster, cluster.orchestration_service, since=since
        )
        brokers = read_brokers(
            self.probe.query(
                "scaling", cluster, brokers=requested, partitions=partitions, backup=backup
            )
        )
        surroundings = ScalingContext(
            stack_status=stack.status,
            autoscaled=tuple(self.scalable.of_services(cluster.ecs_cluster, (service.name,))),
        )
        if with_quota and requested > service.desired:
            limit, used = self.quota.vcpus()
            each = int(stack.parameters.get("BrokerCpu") or 0) / _CPU_UNITS
            surroundings = replace(surroundings, vcpu_each=each, vcpu_limit=limit, vcpu_used=used)
        known = [
            replica.partition
            for member in (brokers.configuration.members if brokers.configuration else ())
            for replica in member.partitions
        ]
        return Observed(
            service=service,
            brokers=brokers,
            surroundings=surroundings,
            # Camunda may have been given more partitions since the bootstrap.
            partitions=max([cluster.partitions, *known]),
            replication_factor=cluster.replication_factor,
            now=now,
            parameters=stack.parameters,
        )


@dataclass(frozen=True, slots=True)
class ScaleObserver:
    """Look at everything and decide the next action. ``region`` is that of the prices."""

    reader: BrokerReader
    targets: TargetGroups
    journal: Journal
    region: str

    def look(
        self,
        operation: Operation,
        *,
        requested: int,
        memory: Mapping[str, Any],
        sent: int | None,
        partitions: int = 0,
        backup: int = 0,
    ) -> dict[str, Any]:
        """Decide the next action towards ``requested`` brokers, or towards ``partitions``.

        ``memory`` is what the last look returned, ``sent`` the id of the change this operation
        sent, ``backup`` that of the backup it took (0 for none, -1 for one that Camunda did not
        take). Returns ``action`` with ``count``, ``tasks``, ``wait`` (seconds), ``reason``,
        ``moves`` (whether it needs a backup before it), ``memory`` and the stack's outputs as
        ``cluster``; with ``DONE`` also ``verification``.
        Raises as ``scaling/decision.py`` and ``scaling/partitions.py`` do, ``ClusterNotFound``,
        ``ClusterFrozen`` and ``StackNotUsable``.
        """
        remembered = Memory.from_state(memory)
        if sent is not None:
            remembered = replace(remembered, change_id=sent)
        if backup:
            remembered = replace(remembered, backup=backup)
        stack = self.reader.stack(operation.cluster)
        refuse_another(stack, operation.ecs_cluster)
        if not remembered.begun:
            # An operation that has begun is safer completed than left incomplete.
            refuse_if_frozen(stack.name, stack.tags)
        observed = self.reader.observe(
            stack,
            requested,
            since=operation.started_at,
            now=epoch(self.journal.clock.now()),
            with_quota=not remembered.begun,
            partitions=partitions,
            backup=max(0, remembered.backup),
        )
        self._note_topology(operation, observed.brokers, first=remembered.before < 0)
        observed = replace(observed, targets=self._targets(stack.outputs))
        if partitions:
            decision = decide_partitions(observed, partitions, remembered)
        else:
            decision = decide(observed, requested, remembered)
        self.journal.look(operation, decision.phase or OBSERVATION, decision.reason)
        if not partitions:
            self._note(operation, observed, requested)
        answer: dict[str, Any] = {
            "action": decision.action.value,
            "reason": decision.reason,
            "count": decision.count,
            "tasks": list(decision.tasks),
            "wait": decision.wait,
            "moves": decision.moves,
            "memory": decision.memory.as_state(),
            "cluster": dict(stack.outputs),
        }
        if decision.action is Action.DONE:
            before = decision.memory.before
            answer["verification"] = {
                **_verification(observed, requested, partitions, decision),
                "cost": cost_of(
                    stack.parameters, before, before if partitions else requested, self.region
                ),
            }
        return answer

    def _note_topology(self, operation: Operation, brokers: BrokersSeen, *, first: bool) -> None:
        """Leave for the report what this look saw; a note that fails stops no scaling."""
        rows = topology_rows(brokers)
        if not rows:
            return
        changing = brokers.configuration is not None and brokers.configuration.pending_change
        stage: Stage = "before" if first else "during" if changing else "after"
        # Of the looks during the change, one that shows something on the move is worth more.
        keep = first or (stage == "during" and not on_the_move(brokers))
        try:
            self.journal.operations.note_topology(
                operation, stage, rows, now=self.journal.clock.now(), keep=keep
            )
        except Exception as error:
            known = of_aws(error)
            if known is None:
                raise
            logger.warning("The topology was not noted", extra={"error": known.message})

    def _note(self, operation: Operation, observed: Observed, requested: int) -> None:
        """Leave for health checks which brokers stay, before any leaves."""
        running = tasks_of_brokers(observed.service, observed.brokers.topology)
        note = ScalingNote(
            operation_id=operation.operation_id,
            requested=requested,
            since=datetime.fromisoformat(operation.started_at),
            until=self.journal.clock.now() + AFTER,
            stays=frozenset(task.task_id for node, task in running.items() if node < requested),
            takes_away=any(node >= requested for node in running),
        )
        before = self.journal.operations.scaling(operation.cluster)
        self.journal.operations.note_scaling(operation.cluster, note.after(before))

    def _targets(self, cluster: ClusterOutputs) -> dict[str, dict[str, str]]:
        """State of the brokers' targets by group and address; an adopted cluster may name none."""
        return {
            name: {target.address: target.state for target in self.targets.health(cluster[output])}
            for name, output in BROKER_TARGET_GROUPS.items()
            if output in cluster
        }


def read_brokers(answer: Mapping[str, Any]) -> BrokersSeen:
    """Read the probe's answer to ``scaling``; see ``scaling/probe.py``."""
    configuration, topology, plan = (
        answer.get(key) for key in ("configuration", "topology", "plan")
    )
    return BrokersSeen(
        configuration=None if configuration is None else read_configuration(configuration),
        topology=None if topology is None else read_topology(topology),
        plan=None if plan is None else read_planned_change(plan),
        refused=str(answer.get("refused") or ""),
        plan_refused=str(answer.get("planRefused") or ""),
        readiness=tuple(
            Readiness(address, ReadinessState(state), detail)
            for address, state, detail in answer.get("readiness", ())
        ),
        problems=tuple(answer.get("problems", ())),
        backups=_backups(answer.get("backups")),
    )


def _backups(answer: Mapping[str, Any] | None) -> BackupsOfPartitions | None:
    if answer is None:
        return None
    return BackupsOfPartitions(
        enabled=answer["enabled"],
        covered=frozenset(answer["covered"]),
        newest=answer["newest"],
        requested=answer["requested"],
    )


def _verification(
    observed: Observed, requested: int, partitions: int, decision: Decision
) -> dict[str, Any]:
    topology, configuration = observed.brokers.topology, observed.brokers.configuration
    memory, there = decision.memory, observed.partitions
    live = span(configuration) if configuration is not None else 0
    grown = {"before": memory.before, "after": partitions}
    scaled = {"before": memory.before, "after": requested}
    return {
        "result": overall(decision.checks).value,
        "checks": [check.as_dict() for check in decision.checks],
        "failure": "",
        "topology": topology_table(topology) if topology is not None else [],
        "unit": "partitions" if partitions else "brokers",
        "brokers": {"before": live, "after": live} if partitions else scaled,
        "partitions": grown if partitions else {"before": there, "after": there},
        "change": {"id": memory.change_id, "operations": memory.operations},
    }
