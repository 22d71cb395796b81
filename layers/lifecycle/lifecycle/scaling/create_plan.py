"""Plan scaling: what the scale machine would do, and the result of Camunda's dry run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.current_prices import todays_prices
from lifecycle.cluster.freeze import refuse_freeze, refuse_if_frozen
from lifecycle.cluster.stack import ecs_cluster_of
from lifecycle.errors import LifecycleError, ProbeAsleep, ScalingRefused
from lifecycle.operation.page import keep_page
from lifecycle.pages.plan import plan_page
from lifecycle.preflight.backup_gate import max_age
from lifecycle.preflight.way_back import lacking_backup, read_backup
from lifecycle.scaling.adoption import adoption_checks
from lifecycle.scaling.plan import plan_partitions, plan_scaling, plan_text, summary
from lifecycle.times import epoch, written

if TYPE_CHECKING:
    from datetime import datetime

    from lifecycle.cluster.checks import Check
    from lifecycle.cluster.ports import Clock, Prices
    from lifecycle.cluster.stack import Stack
    from lifecycle.operation.model import Operation
    from lifecycle.operation.ports import Artifacts, Freezes, Operations
    from lifecycle.scaling.decision import Observed
    from lifecycle.scaling.observe import BrokerReader
    from lifecycle.scaling.ports import ServiceDesigns


@dataclass(frozen=True, slots=True)
class ScalePlanner:
    """The use case and its ports.

    ``function_group`` is the security group of the functions in the VPC, ``network`` the VPC's
    address range.
    """

    reader: BrokerReader
    designs: ServiceDesigns
    prices: Prices
    artifacts: Artifacts
    operations: Operations
    freezes: Freezes
    clock: Clock
    region: str
    function_group: str
    network: str

    def plan(self, operation: Operation, *, requested: int, partitions: int = 0) -> dict[str, Any]:
        """Create the plan and store it as JSON and as text; nothing is changed, nothing locked.

        ``requested`` are brokers; with ``partitions`` those are planned instead.
        Returns ``status`` ``RENDERED`` with the outline of the plan in ``plan``. Raises
        ``ClusterNotFound``, ``ClusterFrozen``, and ``ScalingRefused`` with every failed check; the
        plan is stored even then.
        """
        stack = self.reader.stack(operation.cluster)
        refuse_if_frozen(stack.name, stack.tags)
        ecs_cluster = ecs_cluster_of(stack)
        refuse_freeze(ecs_cluster, self.freezes.frozen(ecs_cluster))
        now = self.clock.now()
        observed = self.reader.observe(
            stack,
            requested,
            since=operation.started_at,
            now=epoch(now),
            with_quota=True,
            partitions=partitions,
        )
        render = plan_partitions if partitions else plan_scaling
        record = self.operations.find(operation.operation_id, operation.machine)
        plan = {
            **render(
                observed,
                cluster=operation.cluster,
                requested=partitions or requested,
                region=self.region,
                parameters=stack.parameters,
                adoption=self._adoption(stack, observed),
                prices=todays_prices(self.prices, self.clock, self.region, stack.parameters),
                newest=self._newest_backup(stack, now),
            ),
            "operationId": operation.operation_id,
            "madeAt": written(now),
            "author": record.caller if record else "",
        }
        key = f"plans/{operation.cluster}/{operation.operation_id}.json"
        text_key = key.removesuffix(".json") + ".txt"
        stored = self.artifacts.put(key, json.dumps(plan, indent=2).encode(), "application/json")
        keep_page(self.artifacts, key, plan_page, plan)
        self.artifacts.put(text_key, plan_text(plan).encode(), "text/plain; charset=utf-8")
        if plan["refusal"]:
            raise ScalingRefused(
                f"{plan['refusal']} The plan with all details is {text_key} in the artifact bucket."
            )
        self.operations.begin(operation, now=now)
        self.operations.end(operation, result="SUCCEEDED", report=stored, now=now)
        return {"status": "RENDERED", "plan": summary(plan, key=key, text_key=text_key)}

    def _newest_backup(self, stack: Stack, now: datetime) -> str:
        """Describe the newest backup of the brokers, or why it is not known.

        Raises ``ProbeAsleep``: what cannot be queried yet is not missing.
        """
        backup, why = None, ""
        try:
            answer = self.reader.probe.query("backup", stack.outputs)
            why = str(answer["problem"])
            backup = None if why else read_backup(answer)
        except ProbeAsleep:
            raise
        except LifecycleError as error:
            why = error.message
        lacks = lacking_backup(backup, now, {"backup": why.rstrip(".")}, max_age(stack.parameters))
        if lacks or backup is None or backup.at is None:
            return lacks
        return f"one is {backup.state} and from {backup.at.isoformat(timespec='minutes')}"

    def _adoption(self, stack: Stack, observed: Observed) -> tuple[Check, ...]:
        """Check what stands in the way of scaling a cluster that something else made."""
        if not stack.outputs.adopted:
            return ()
        design = self.designs.read(stack.outputs.ecs_cluster, stack.outputs.orchestration_service)
        return adoption_checks(
            design,
            observed.brokers,
            bootstrap=stack.outputs.brokers,
            function_group=self.function_group,
            network=self.network,
        )
