"""A running cluster in memory: ECS tasks, brokers that really move partitions, and the operations.

``dialect`` 8.9 and 8.10 have node-id leases: a task without one hangs, a broker that lost its own
exits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lifecycle.camunda.backups import BackupsSeen
from lifecycle.camunda.credentials import Credentials, Login
from lifecycle.camunda.partitions import BackupStatus, PartitionStatus
from lifecycle.camunda.topology import ClusterConfiguration, PlannedChange, Readiness, Topology
from lifecycle.cluster.checks import TargetHealth
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import tags
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.stack import Stack
from lifecycle.errors import ManagementOutcomeUnknown, ManagementRefused
from lifecycle.operation.announce import Announcer
from lifecycle.operation.clean_up import Cleaner
from lifecycle.operation.finish import Finisher
from lifecycle.operation.journal import Journal
from lifecycle.operation.model import Operation
from lifecycle.scaling.change_brokers import BrokerChanger
from lifecycle.scaling.count import CountSetter
from lifecycle.scaling.create_plan import ScalePlanner
from lifecycle.scaling.observe import BrokerReader, ScaleObserver
from lifecycle.scaling.probe import ScalingProber
from lifecycle.scaling.protection import TaskProtector
from lifecycle.settings import Settings
from lifecycle.times import written

from tests.fakes.autoscaling import FakeScalableTargets
from tests.fakes.dynamodb import FakeTable
from tests.fakes.ecs import FakeServices
from tests.fakes.ecs_tasks import FakeBrokerTasks
from tests.fakes.events import FakeEvents
from tests.fakes.identity import logins
from tests.fakes.management import InMemoryManagement
from tests.fakes.management_simulation import Dialect, SimulatedCluster
from tests.fakes.prices import FakePrices
from tests.fakes.quotas import FakeFargateQuota
from tests.fakes.s3 import FakeArtifacts
from tests.fakes.service_design import FakeServiceDesigns
from tests.fakes.stepfunctions import FakeExecutions
from tests.support.backups import fresh
from tests.support.beginning import begin_operation
from tests.support.definitions import Function, load_handler
from tests.support.world import CONTROL, OUTPUTS, TestClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ADMIN = Credentials("admin", "a password")
SETTINGS = Settings(
    control_stack=CONTROL,
    region="eu-central-1",
    table_name="table",
    artifact_bucket="artifacts",
    deployment_role_arn="arn:role",
    cluster_template="/opt/cluster.json",
)


def scale_operation(number: int = 1) -> Operation:
    return Operation(
        operation_id=f"demo.scale.{number}",
        execution_arn=f"arn:execution:demo:scale:{number}",
        cluster="demo",
        machine="scale",
        started_at="2026-01-01T00:00:00+00:00",
        ecs_cluster=f"{CONTROL}-demo",
    )


@dataclass
class OneStack:
    """CloudFormation with the cluster's stack, or without."""

    stack: Stack | None

    def describe(self, name: str) -> Stack | None:
        return self.stack if self.stack is not None and self.stack.name == name else None


@dataclass
class Users:
    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        assert (secret_arn, cluster) == (OUTPUTS["AdminUserSecretArn"], "demo")
        return ADMIN


@dataclass
class FlakyManagement:
    """The management API whose answer to the next write is lost, after or before it was done."""

    inner: InMemoryManagement
    lost: list[str] = field(default_factory=list)
    lost_backups: list[str] = field(default_factory=list)
    writes: int = 0

    def addresses(self) -> tuple[str, ...]:
        return self.inner.addresses()

    def configuration(self) -> ClusterConfiguration:
        return self.inner.configuration()

    def topology(self, login: Login | None = None) -> Topology:
        return self.inner.topology(login)

    def topology_of(self, address: str, login: Login | None = None) -> Topology:
        return self.inner.topology_of(address, login)

    def readiness(self, address: str) -> Readiness:
        return self.inner.readiness(address)

    def partitions(self, address: str) -> tuple[PartitionStatus, ...]:
        return self.inner.partitions(address)

    def meters(self, address: str) -> str:
        return self.inner.meters(address)

    def upgrade_readiness(self, address: str) -> tuple[str, ...]:
        return self.inner.upgrade_readiness(address)

    def backups(self) -> BackupStatus:
        return self.inner.backups()

    def plan_brokers(self, count: int) -> PlannedChange:
        return self.inner.plan_brokers(count)

    def plan_partitions(self, count: int) -> PlannedChange:
        return self.inner.plan_partitions(count)

    def list_backups(self) -> BackupsSeen:
        return self.inner.list_backups()

    def back_up(self, backup: int | None = None) -> int:
        how = self.lost_backups.pop(0) if self.lost_backups else ""
        if how == "before":
            raise ManagementOutcomeUnknown("10.0.0.10 answered HTTP 504.")
        made = self.inner.back_up(backup)
        if how == "after":
            raise ManagementOutcomeUnknown("10.0.0.10 answered HTTP 504.")
        return made

    def delete_backup(self, backup: int) -> None:
        self.inner.delete_backup(backup)

    def backup_state(self, backup: int) -> str:
        return self.inner.backup_state(backup)

    def scale_brokers(self, count: int) -> PlannedChange:
        return self._write(lambda: self.inner.scale_brokers(count))

    def scale_partitions(self, count: int) -> PlannedChange:
        return self._write(lambda: self.inner.scale_partitions(count))

    def _write(self, send: Callable[[], PlannedChange]) -> PlannedChange:
        self.writes += 1
        how = self.lost.pop(0) if self.lost else ""
        if how == "refused":
            raise ManagementRefused("10.0.0.10 answered HTTP 400: not like this.")
        if how == "before":
            raise ManagementOutcomeUnknown("10.0.0.10 answered HTTP 504.")
        planned = send()
        if how == "after":
            raise ManagementOutcomeUnknown("10.0.0.10 answered HTTP 504.")
        return planned


@dataclass
class DirectProbe:
    """The function inside the VPC, without a network between: JSON goes in and out."""

    prober: ScalingProber

    def query(
        self, question: str, cluster: Mapping[str, str], **arguments: object
    ) -> Mapping[str, Any]:
        if question == "backup":
            return {"state": "", "at": None, "problem": ""}
        assert question == "scaling"
        given = json.loads(json.dumps(arguments))
        known = ClusterOutputs(cluster)
        answer: Mapping[str, Any] = json.loads(json.dumps(self.prober.query(known, **given)))
        return answer


@dataclass
class RunningTargets:
    """A target for each task that runs: `initial` for ``seconds``, then healthy."""

    world: ScalingWorld
    seconds: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    def health(self, arn: str) -> list[TargetHealth]:
        now = int(self.world.clock.now().timestamp())
        found = []
        for task in self.world.tasks.observe("", self.world.tasks.name, since="").running:
            first = self.seen.setdefault(task.address, now)
            state = "healthy" if now - first >= self.seconds else "initial"
            found.append(TargetHealth(task.address, state))
        return found


class ScalingWorld:
    """A cluster of ``brokers`` brokers that runs, and everything that scales it."""

    def __init__(
        self,
        brokers: int = 3,
        *,
        partitions: int = 3,
        factor: int = 3,
        dialect: Dialect = "8.9",
        start_seconds: float = 1.0,
    ) -> None:
        self.two_people_for: frozenset[str] = frozenset()
        self.clock = TestClock()
        self.table = FakeTable()
        self.executions = FakeExecutions(others_run=True)
        self.quota = FakeFargateQuota()
        self.scalable = FakeScalableTargets()
        self.targets = RunningTargets(self)
        self.designs = FakeServiceDesigns()
        self.prices = FakePrices()
        self.artifacts = FakeArtifacts()
        self.events = FakeEvents()
        outputs = {
            **OUTPUTS,
            "Brokers": str(brokers),
            "Partitions": str(partitions),
            "ReplicationFactor": str(factor),
        }
        self.stacks = OneStack(
            Stack(
                "control-demo",
                "arn:stack",
                "UPDATE_COMPLETE",
                created_at=written(self.clock.now() - timedelta(days=30)),
                tags=tags(CONTROL, "demo"),
                outputs=ClusterOutputs(outputs),
                parameters={
                    name: str(declared.get("default", ""))
                    for name, declared in cluster_parameters().items()
                },
            )
        )
        self.cluster = SimulatedCluster(
            brokers,
            partitions,
            factor,
            dialect=dialect,
            start_seconds=start_seconds,
            failure_seconds=3.0,
        )
        self.brokers = InMemoryManagement(self.cluster, credentials=ADMIN)
        self.management = FlakyManagement(self.brokers)
        self.tasks = FakeBrokerTasks(
            now=lambda: int(self.clock.now().timestamp()),
            leases=self.leases,
            on_start=self.brokers.start_broker,
            on_stop=self.broker_stops,
            desired=brokers,
        )
        self.pass_seconds(10 + start_seconds)
        assert self.tasks.stopped_by_ecs == []

    def leases(self) -> int:
        if self.cluster.dialect != "8.6":
            return self.cluster.leases
        return max(self.cluster.cluster_size, self.tasks.desired)

    def broker_stops(self, node: int) -> None:
        """End a broker's process, unless it had died in its task before."""
        if node in self.brokers.running:
            self.brokers.kill_broker(node)

    def pass_seconds(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.clock.pass_seconds(1)
            self.tasks.tick()
            self.brokers.pass_time(1)

    @property
    def members(self) -> list[int]:
        return sorted(self.cluster.members)

    @property
    def running(self) -> list[int | None]:
        return sorted((task.node for task in self.tasks.tasks.values()), key=str)

    @property
    def protected(self) -> int:
        return len(self.tasks.observe("", self.tasks.name, since="").protected)

    @property
    def journal(self) -> Journal:
        return Journal(
            locks=self.table, operations=self.table, executions=self.executions, clock=self.clock
        )

    @property
    def reader(self) -> BrokerReader:
        prober = ScalingProber(management=lambda _: self.management, logins=logins(Users()))
        return BrokerReader(
            stacks=self.stacks,  # type: ignore[arg-type]
            tasks=self.tasks,
            probe=DirectProbe(prober),
            quota=self.quota,
            scalable=self.scalable,
            control_stack=CONTROL,
        )

    @property
    def observer(self) -> ScaleObserver:
        return ScaleObserver(
            reader=self.reader,
            targets=self.targets,
            journal=self.journal,
            region=SETTINGS.region,
        )

    @property
    def setter(self) -> CountSetter:
        return CountSetter(tasks=self.tasks, journal=self.journal)

    @property
    def protector(self) -> TaskProtector:
        return TaskProtector(tasks=self.tasks, journal=self.journal)

    @property
    def changer(self) -> BrokerChanger:
        return BrokerChanger(management=lambda _: self.management, journal=self.journal)

    @property
    def planner(self) -> ScalePlanner:
        return ScalePlanner(
            reader=self.reader,
            artifacts=self.artifacts,
            operations=self.table,
            freezes=self.table,
            clock=self.clock,
            region="eu-central-1",
            designs=self.designs,
            prices=self.prices,
            function_group="sg-functions",
            network="10.0.0.0/16",
        )

    @property
    def cleaner(self) -> Cleaner:
        return Cleaner(journal=self.journal, finisher=self.finisher, tasks=self.tasks)

    @property
    def announcer(self) -> Announcer:
        return Announcer(events=self.events, operations=self.table, control_stack=CONTROL)

    @property
    def finisher(self) -> Finisher:
        services = FakeServices()
        services.add(self.tasks.name, desired=self.tasks.desired, running=len(self.running))
        services.add("connectors", desired=1)
        return Finisher(
            stacks=self.stacks,  # type: ignore[arg-type]
            services=services,
            artifacts=self.artifacts,
            journal=self.journal,
            announcer=self.announcer,
            control_stack=CONTROL,
        )


def scale_functions(world: ScalingWorld) -> dict[str, Function]:
    """The functions of the scale machine, in the order of their first call, on a world."""
    return {
        "ValidateScaling": load_handler(
            "validate_scaling", settings=lambda: SETTINGS, stacks=lambda: world.stacks
        ),
        "BeginOperation": begin_operation(world),
        "ObserveScaling": load_handler("observe_scaling", scale_observer=lambda: world.observer),
        "TakeBackup": fresh,
        "SetBrokerCount": load_handler("set_broker_count", count_setter=lambda: world.setter),
        "ProtectTasks": load_handler("protect_tasks", task_protector=lambda: world.protector),
        "ChangeBrokers": load_handler("change_brokers", broker_changer=lambda: world.changer),
        "FinishOperation": load_handler("finish_operation", finisher=lambda: world.finisher),
    }
