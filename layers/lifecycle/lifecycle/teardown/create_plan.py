"""Plan a teardown without the right to carry one out: its dry run, stored as any other plan."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.errors import ClusterNotFound
from lifecycle.operation.page import keep_page
from lifecycle.pages.plan import plan_page
from lifecycle.teardown.decisions import StackState
from lifecycle.times import written

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Clock
    from lifecycle.operation.model import Operation
    from lifecycle.operation.ports import Artifacts, Operations
    from lifecycle.teardown.steps import TeardownPlanner


@dataclass(frozen=True, slots=True)
class TeardownPlanWriter:
    """The use case and its ports."""

    planner: TeardownPlanner
    artifacts: Artifacts
    operations: Operations
    clock: Clock

    def write(self, operation: Operation) -> dict[str, Any]:
        """Store what a teardown would delete and retain; returns ``status`` and the outline.

        Raises ``ClusterNotFound``, ``ClusterFrozen`` and ``StackNotUsable``.
        """
        found = self.planner.plan({"clusterName": operation.cluster, "dryRun": True})["plan"]
        if found["stackStatus"] == StackState.ABSENT.value:
            raise ClusterNotFound(
                f"There is no cluster {operation.cluster} in {self.planner.control_stack}."
            )
        now = self.clock.now()
        record = self.operations.find(operation.operation_id, operation.machine)
        author = record.caller if record is not None else ""
        made = written(now)
        head = (
            f"Plan {operation.operation_id}\n"
            f"Cluster {operation.cluster}, {self.planner.region}\n"
            f"Created {made} by {author or 'unknown (started from the console or a schedule)'}\n\n"
        )
        plan = {
            "planVersion": 1,
            "operationId": operation.operation_id,
            "madeAt": made,
            "author": author,
            "status": "READY",
            "kind": "teardown",
            "cluster": operation.cluster,
            "region": self.planner.region,
            **found,
            "text": f"{head}{found['text']}\n",
            "apply": {"clusterName": operation.cluster, "confirm": operation.cluster},
        }
        key = f"plans/{operation.cluster}/{operation.operation_id}.json"
        text_key = key.removesuffix(".json") + ".txt"
        stored = self.artifacts.put(key, json.dumps(plan, indent=2).encode(), "application/json")
        keep_page(self.artifacts, key, plan_page, plan)
        self.artifacts.put(text_key, str(plan["text"]).encode(), "text/plain; charset=utf-8")
        self.operations.begin(operation, now=now)
        self.operations.end(operation, result="SUCCEEDED", report=stored, now=now)
        outline = {
            name: plan[name]
            for name in (
                *("operationId", "madeAt", "status", "kind", "stack", "goes"),
                *("monthlyCost", "notPriced", "currency", "apply"),
            )
        }
        outline |= {"kept": len(found["kept"]), "planKey": key, "textKey": text_key}
        return {"status": "RENDERED", "plan": outline}
