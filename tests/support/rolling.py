"""A running cluster in memory whose brokers are moved to another revision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lifecycle.api.probe import Prober
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.provisioning.roll_services import BrokerReplacer, ServiceRoller
from lifecycle.provisioning.start_services import ServiceReader
from lifecycle.restart.restart_services import ServiceRestarter

from tests.fakes.ecs import FakeServices
from tests.fakes.identity import InMemoryProvider, logins
from tests.support.backups import fresh
from tests.support.beginning import begin_operation
from tests.support.definitions import Function, load_handler
from tests.support.scaling import SETTINGS, ScalingWorld, Users
from tests.support.world import CONTROL, DEFINITIONS, OUTPUTS, designs, operation

if TYPE_CHECKING:
    from collections.abc import Callable

NEWEST = "arn:orchestration-cluster:2"
VERIFIED: Mapping[str, Any] = {"result": "PASS", "checks": [], "failure": "", "topology": []}


@dataclass
class BrokersProbe:
    """The function inside the VPC, without a network between: JSON goes in and out."""

    prober: Prober

    def query(
        self, question: str, cluster: Mapping[str, str], **arguments: object
    ) -> Mapping[str, Any]:
        assert question == "rolling"
        known = ClusterOutputs(cluster)
        given = json.loads(json.dumps(arguments))
        answer: Mapping[str, Any] = json.loads(json.dumps(self.prober.rolling(known, **given)))
        return answer


class RollingWorld(ScalingWorld):
    """Brokers of revision 1, while the stack names revision 2."""

    started_at = "2026-01-01T00:00:00+00:00"

    def __init__(self, brokers: int = 3, *, start_seconds: float = 1.0) -> None:
        super().__init__(brokers, factor=min(3, brokers), start_seconds=start_seconds)
        self.outputs = ClusterOutputs(
            {
                **OUTPUTS,
                "Brokers": str(brokers),
                "ReplicationFactor": str(min(3, brokers)),
            }
        )
        self.services = FakeServices(
            tasks=self.tasks,
            designs=designs(self.outputs),
            now=lambda: int(self.clock.now().timestamp()),
        )
        self.services.add(self.tasks.name, desired=brokers)
        self.services.add("connectors", desired=1)
        self.revise(2)
        self.on_look: Callable[[], None] = lambda: None

    def revise(self, number: int) -> None:
        """Let the stack name other revisions of both task definitions."""
        self.declare(
            OrchestrationTaskDefinitionArn=f"arn:orchestration-cluster:{number}",
            ConnectorsTaskDefinitionArn=f"arn:connectors:{number}",
        )

    def declare(self, **outputs: str) -> None:
        """Let the stack have these outputs."""
        self.outputs = ClusterOutputs({**self.outputs, **outputs})

    @property
    def probe(self) -> BrokersProbe:
        return BrokersProbe(
            Prober(
                management=lambda _: self.management,
                paths=None,  # type: ignore[arg-type]
                logins=logins(Users()),
                provider=InMemoryProvider(),
                networks=(),
            )
        )

    @property
    def replacer(self) -> BrokerReplacer:
        return BrokerReplacer(tasks=self.tasks, probe=self.probe, journal=self.journal)

    @property
    def roller(self) -> ServiceRoller:
        return ServiceRoller(
            reader=ServiceReader(
                stacks=self.stacks,  # type: ignore[arg-type]
                services=self.services,
                definitions=DEFINITIONS,
                control_stack=CONTROL,
            ),
            services=self.services,
            replacer=self.replacer,
        )

    @property
    def restarter(self) -> ServiceRestarter:
        return ServiceRestarter(
            services=self.services,
            tasks=self.tasks,
            targets=self.targets,
            probe=self.probe,
            replacer=self.replacer,
            journal=self.journal,
        )

    def look(self, memory: Mapping[str, Any], number: int = 1) -> dict[str, Any]:
        op = replace(operation(number), started_at=self.started_at)
        return self.roller.roll(op, self.outputs, memory)

    def restart(
        self,
        service: str = "brokers",
        broker: int | None = None,
        *,
        looks: int = 2000,
        number: int = 1,
    ) -> list[str]:
        """Look and wait as the state machine does, until it is done; give the steps recorded."""
        memory: Mapping[str, Any] = {}
        self.table.locks.clear()
        self.started_at = self.clock.now().isoformat()
        op = replace(operation(number), started_at=self.started_at)
        self.table.begin(op, now=self.clock.now())
        for _ in range(looks):
            answer = self.restarter.restart(
                op, self.outputs, service=service, broker=broker, memory=memory
            )
            if answer["status"] == "RESTARTED":
                return [one["step"] for one in self.table.timeline(op)]
            memory = json.loads(json.dumps(answer["memory"]))
            self.on_look()
            self.pass_seconds(answer["wait"])
        raise AssertionError(answer)

    def roll(self, *, looks: int = 2000, number: int = 1) -> dict[str, Any]:
        """Look and wait as the state machine does, until it is done."""
        answer: dict[str, Any] = {"memory": {}}
        self.table.locks.clear()
        self.started_at = self.clock.now().isoformat()
        for _ in range(looks):
            answer = self.look(answer["memory"], number)
            if answer["status"] == "ROLLED":
                return answer
            self.pass_seconds(answer["wait"])
        raise AssertionError(answer)

    @property
    def whole(self) -> bool:
        answer = self.probe.query("rolling", self.outputs, expected=self.tasks.desired)
        return bool(answer["formation"]["formed"])

    @property
    def revisions(self) -> set[str]:
        return {task.revision for task in self.tasks.observe("", self.tasks.name).tasks}


def restart_functions(
    world: RollingWorld, verify: Callable[[], dict[str, Any]] = lambda: dict(VERIFIED)
) -> dict[str, Function]:
    """The functions of the restart machine on a world; ``verify`` stands in for a user's view."""
    return {
        "ValidateRestart": load_handler(
            "validate_restart", settings=lambda: SETTINGS, stacks=lambda: world.stacks
        ),
        "BeginOperation": begin_operation(world),
        "ReadCluster": lambda _: dict(world.outputs),
        "TakeBackup": fresh,
        "RestartService": load_handler(
            "restart_service", service_restarter=lambda: world.restarter
        ),
        "VerifyCluster": lambda _: verify(),
        "FinishOperation": load_handler("finish_operation", finisher=lambda: world.finisher),
    }
