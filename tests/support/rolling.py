"""A running cluster in memory whose brokers are moved to another revision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.adapters.ecs_memory import MemoryServices
from lifecycle.operations.probe_cluster import Prober
from lifecycle.operations.roll_services import ServiceRoller

from tests.support.scaling import CLUSTER_OUTPUTS, ScalingWorld, Users
from tests.support.world import operation

NEWEST = "arn:orchestration-cluster:2"


@dataclass
class BrokersProbe:
    """The function inside the VPC, without a network between: JSON goes in and out."""

    prober: Prober

    def ask(self, question: str, cluster: Mapping[str, str]) -> Mapping[str, Any]:
        assert question == "brokers"
        known = {**CLUSTER_OUTPUTS, **cluster}
        answer: Mapping[str, Any] = json.loads(json.dumps(self.prober.brokers(known)))
        return answer


class RollingWorld(ScalingWorld):
    """Brokers of revision 1, while revision 2 is the newest."""

    def __init__(self, brokers: int = 3) -> None:
        super().__init__(brokers, factor=min(3, brokers))
        self.services = MemoryServices(tasks=self.tasks)
        self.services.add(self.tasks.name, desired=brokers)
        self.services.add("connectors", desired=1)
        self.services.newest = {self.tasks.name: 2, "connectors": 2}
        self.outputs = {
            **CLUSTER_OUTPUTS,
            "Brokers": str(brokers),
            "ReplicationFactor": str(min(3, brokers)),
        }

    @property
    def roller(self) -> ServiceRoller:
        prober = Prober(
            management=lambda _: self.management,
            paths=None,  # type: ignore[arg-type]
            users=Users(),
            networks=(),
        )
        return ServiceRoller(
            services=self.services,
            tasks=self.tasks,
            probe=BrokersProbe(prober),
            journal=self.journal,
        )

    def look(self, memory: Mapping[str, Any], number: int = 1) -> dict[str, Any]:
        return self.roller.roll(operation(number), self.outputs, memory)

    def roll(self, *, looks: int = 2000, number: int = 1) -> dict[str, Any]:
        """Look and wait as the state machine does, until it is done."""
        answer: dict[str, Any] = {"memory": {}}
        self.table.locks.clear()
        for _ in range(looks):
            answer = self.look(answer["memory"], number)
            if answer["status"] == "ROLLED":
                return answer
            self.pass_seconds(answer["wait"])
        raise AssertionError(answer)

    @property
    def whole(self) -> bool:
        answer = self.roller.probe.ask("brokers", self.outputs)
        return bool(answer["formation"]["formed"])

    @property
    def revisions(self) -> set[str]:
        return {task.revision for task in self.tasks.observe("", self.tasks.name).tasks}
