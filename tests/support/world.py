"""A control plane and one cluster in memory: the fakes, wired as the handlers wire the adapters."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import tags
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.stack import ResourceChange
from lifecycle.kept.ways_back import WaysBack
from lifecycle.manage.close_ways import WayCloser
from lifecycle.operation.announce import Announcer
from lifecycle.operation.clean_up import Cleaner
from lifecycle.operation.finish import Finisher
from lifecycle.operation.journal import Journal
from lifecycle.operation.model import FUNCTION_SECONDS, Acting, Operation
from lifecycle.plans.apply import PlanAdopter
from lifecycle.plans.create import Planner
from lifecycle.plans.expire import Discarder
from lifecycle.preflight.run import Preflight
from lifecycle.provisioning.change_set import StackChanger
from lifecycle.provisioning.start_services import ServiceReader, ServiceStarter, StartFollower
from lifecycle.services.definition import NAMES, render
from lifecycle.services.image_digests import Images
from lifecycle.services.registries import Registries
from lifecycle.teardown.create_plan import TeardownPlanWriter
from lifecycle.teardown.steps import (
    ClusterStopper,
    StackDeleter,
    TeardownPlanner,
    TrialEmptier,
)
from lifecycle.verification.create_instances import InstanceProber
from lifecycle.verification.verify import Verifier

from tests.fakes.account import FakeAccount
from tests.fakes.backup_buckets import FakeBackupBuckets
from tests.fakes.cloud_map import FakeNamespaces
from tests.fakes.cloudformation import FakeStacks
from tests.fakes.dynamodb import FakeTable
from tests.fakes.ecr import FakeRegistry
from tests.fakes.ecs import FakeServices, FakeTargets
from tests.fakes.ecs_tasks import FakeBrokerTasks
from tests.fakes.events import FakeEvents
from tests.fakes.former_data import FakeFormerData
from tests.fakes.identity import logins
from tests.fakes.kept_things import FakeKeptThings
from tests.fakes.management import InMemoryManagement
from tests.fakes.management_door import FakeManagementDoor
from tests.fakes.management_simulation import SimulatedCluster
from tests.fakes.prices import FakePrices
from tests.fakes.probe import FakeProbe
from tests.fakes.processes import FakeProcesses
from tests.fakes.rds import FakeBalancers, FakeDatabases
from tests.fakes.s3 import FakeArtifacts, FakeLeases
from tests.fakes.scheduler import FakeSchedules
from tests.fakes.stepfunctions import FakeExecutions
from tests.fakes.storage import FakeStorage
from tests.support.beginning import approver

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
CONTROL = "control"
RESOURCES = {
    "DataKey": "AWS::KMS::Key",
    "Files": "AWS::EFS::FileSystem",
    "Database": "AWS::RDS::DBCluster",
    "OrchestrationTaskDefinition": "AWS::ECS::TaskDefinition",
    "ConnectorsTaskDefinition": "AWS::ECS::TaskDefinition",
    "EcsCluster": "AWS::ECS::Cluster",
}
DEFINITIONS: dict[str, Any] = {
    name: json.loads((ROOT / "services" / f"{name}.json").read_text()) for name in NAMES
}
OUTPUTS = ClusterOutputs(
    {
        "ContractVersion": "2",
        "ClusterName": "demo",
        "EcsClusterName": "control-demo",
        "OrchestrationServiceName": "orchestration-cluster",
        "ConnectorsServiceName": "connectors",
        "OrchestrationTaskDefinitionArn": "arn:orchestration-cluster:1",
        "ConnectorsTaskDefinitionArn": "arn:connectors:1",
        "OrchestrationImage": "camunda/camunda:8.9.16",
        "PrivateSubnetIds": "subnet-1,subnet-2,subnet-3",
        "BrokerSecurityGroupId": "sg-brokers",
        "ConnectorsSecurityGroupId": "sg-connectors",
        "BrokerDiscoveryArn": "arn:discovery",
        "ConnectorsDiscoveryArn": "arn:connectors-discovery",
        "ServiceConnectNamespaceArn": "arn:namespace/ns-1",
        "ManagementListener": "false",
        "ManagementTargetGroupArn": "arn:management",
        "EnableExecuteCommand": "false",
        "BrokerGraceSeconds": "900",
        "NodeIdBucketName": "node-ids",
        "Brokers": "3",
        "Connectors": "1",
        "Partitions": "3",
        "ReplicationFactor": "3",
        "RestTargetGroupArn": "arn:rest",
        "GrpcTargetGroupArn": "arn:grpc",
        "ConnectorsTargetGroupArn": "arn:connectors",
        "RestUrl": "http://web.example",
        "GrpcEndpoint": "grpc.example:26500",
        "DiscoveryName": "orchestration-cluster.control-demo.service.local",
        "AdminUserSecretArn": "arn:secret:admin",
        "OrchestrationLogGroup": "broker-logs",
        "ConnectorsLogGroup": "connectors-logs",
    }
)
FORMED = {
    "formation": {"formed": True, "problems": [], "brokers": 3, "partitions": 3},
    "topology": [{"nodeId": 0}],
}
UNFORMED = {
    "formation": {
        "formed": False,
        "problems": ["broker 2 is not in the topology"],
        "brokers": 3,
        "partitions": 3,
    },
    "topology": [],
}
PATHS = {
    name: {"ok": True, "seen": "answers 200"} for name in ("rest", "login", "grpc", "connectors")
}


class Admins:
    """Users whose secrets can be read."""

    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        del secret_arn, cluster
        return Credentials("admin", "password")


NO_BROKERS = FakeBrokerTasks(
    now=lambda: 0, leases=lambda: 0, on_start=lambda *_: None, on_stop=lambda _: None
)


@dataclass
class TestClock:
    """A clock that only tests move."""

    __test__: ClassVar[bool] = False  # its name begins like a test class, to pytest

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_seconds(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def designs(outputs: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Definitions of both services with these outputs, with the tags of the cluster."""
    counts = {"orchestration-cluster": outputs["Brokers"], "connectors": outputs["Connectors"]}
    ours = tags(CONTROL, "demo")
    return {
        name: render(DEFINITIONS[name], outputs, count=int(counts[name]), tags=ours)
        for name in NAMES
    }


def operation(number: int = 1, cluster: str = "demo") -> Operation:
    return Operation(
        operation_id=f"{cluster}.provision.{number}",
        execution_arn=f"arn:execution:{cluster}:{number}",
        cluster=cluster,
        machine="provision",
        started_at="2026-01-01T00:00:00+00:00",
        ecs_cluster=f"{CONTROL}-{cluster}",
    )


def also_acts(world: World, one: Operation) -> int:
    """Write another function of the operation into its lock; gives its deadline."""
    until = int(world.clock.now().timestamp()) + FUNCTION_SECONDS
    held = world.table.locks[one.ecs_cluster]
    acting = held.acting | {Acting("lost", until)}
    world.table.locks[one.ecs_cluster] = replace(held, acting=acting)
    return until


REGISTRIES = Registries.read(
    "docker.io/camunda,registry.camunda.cloud,public.ecr.aws/aws-observability,ecr",
    "123456789012",
    "eu-central-1",
)
"""What the control stack allows by default."""
TEMPLATE = b'{"Resources": {}}'
"""A cluster template in which nothing stands."""


@dataclass
class World:
    """Everything outside of the operations, in memory."""

    two_people_for: frozenset[str] = frozenset()
    clock: TestClock = field(default_factory=TestClock)
    table: FakeTable = field(default_factory=FakeTable)
    executions: FakeExecutions = field(default_factory=lambda: FakeExecutions(others_run=True))
    artifacts: FakeArtifacts = field(default_factory=FakeArtifacts)
    account: FakeAccount = field(default_factory=FakeAccount)
    schedules: FakeSchedules = field(default_factory=FakeSchedules)
    door: FakeManagementDoor = field(default_factory=FakeManagementDoor)
    prices: FakePrices = field(default_factory=FakePrices)
    leases: FakeLeases = field(default_factory=FakeLeases)
    events: FakeEvents = field(default_factory=FakeEvents)
    databases: FakeDatabases = field(default_factory=FakeDatabases)
    former: FakeFormerData = field(default_factory=FakeFormerData)
    balancers: FakeBalancers = field(default_factory=FakeBalancers)
    namespaces: FakeNamespaces = field(default_factory=FakeNamespaces)
    storage: FakeStorage = field(default_factory=FakeStorage)
    kept: FakeKeptThings = field(default_factory=FakeKeptThings)
    backup_buckets: FakeBackupBuckets = field(default_factory=FakeBackupBuckets)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    services: FakeServices = field(default_factory=FakeServices)
    targets: FakeTargets = field(default_factory=FakeTargets)
    probe: FakeProbe = field(default_factory=FakeProbe)
    processes: FakeProcesses = field(default_factory=FakeProcesses)
    stacks: FakeStacks = field(
        default_factory=lambda: FakeStacks(
            resources=RESOURCES,
            outputs=OUTPUTS,
            defaults={
                name: str(declared.get("default", ""))
                for name, declared in cluster_parameters().items()
            },
            changed_by={
                "LogRetentionDays": [
                    ResourceChange("Modify", "BrokerLogs", "AWS::Logs::LogGroup", "False")
                ],
                "DatabaseName": [
                    ResourceChange("Modify", "Database", "AWS::RDS::DBCluster", "True")
                ],
            },
        )
    )

    def __post_init__(self) -> None:
        self.services.designs = designs(OUTPUTS)
        self.services.now = lambda: int(self.clock.now().timestamp())
        self.stacks.fetch = self._stored
        self.probe.answers = {
            "brokers": UNFORMED,
            "paths": PATHS,
            "backup": lambda *_, **__: {
                "state": "COMPLETED",
                "at": self.clock.now().isoformat(),
                "problem": "",
            },
            "partitions": {"partitions": None},
            "instances": InstanceProber(
                management=lambda _: InMemoryManagement(
                    SimulatedCluster(3, 3, 3), running=range(3)
                ),
                processes=lambda _: self.processes,
                logins=logins(Admins()),
                monotonic=lambda: 0.0,
            ).query,
        }

    @property
    def journal(self) -> Journal:
        return Journal(
            locks=self.table, operations=self.table, executions=self.executions, clock=self.clock
        )

    @property
    def changer(self) -> StackChanger:
        return StackChanger(
            stacks=self.stacks,
            artifacts=self.artifacts,
            journal=self.journal,
            control_stack=CONTROL,
            declarations=cluster_parameters(),
            images=Images(
                self.registry,
                "arn:aws:iam::123456789012:role/deployment",
                "eu-central-1",
                {name: str(one.get("default", "")) for name, one in cluster_parameters().items()},
            ),
            reader=lambda: self.reader,
        )

    @property
    def preflight(self) -> Preflight:
        return Preflight(
            stacks=self.stacks,
            freezes=self.table,
            account=self.account,
            region="eu-central-1",
            control_stack=CONTROL,
            declarations=cluster_parameters(),
            registries=REGISTRIES,
            probe=lambda: self.probe,
            management=self.door.look,
            clock=self.clock,
        )

    @property
    def closer(self) -> WayCloser:
        return WayCloser(
            stacks=self.stacks,
            door=self.door,
            schedules=self.schedules,
            clock=self.clock,
            control_stack=CONTROL,
        )

    @property
    def planner(self) -> Planner:
        return Planner(
            stacks=self.stacks,
            services=self.services,
            registry=self.registry,
            definitions=DEFINITIONS,
            artifacts=self.artifacts,
            schedules=self.schedules,
            prices=self.prices,
            operations=self.table,
            clock=self.clock,
            region="eu-central-1",
            role="arn:aws:iam::123456789012:role/deployment",
            control_stack=CONTROL,
            declarations=cluster_parameters(),
        )

    @property
    def adopter(self) -> PlanAdopter:
        return PlanAdopter(planner=self.planner, journal=self.journal, approver=approver(self))

    @property
    def discarder(self) -> Discarder:
        return Discarder(
            stacks=self.stacks, locks=self.table, executions=self.executions, clock=self.clock
        )

    @property
    def reader(self) -> ServiceReader:
        return ServiceReader(
            stacks=self.stacks,
            services=self.services,
            definitions=DEFINITIONS,
            control_stack=CONTROL,
        )

    @property
    def starter(self) -> ServiceStarter:
        return ServiceStarter(
            reader=self.reader, services=self.services, leases=self.leases, journal=self.journal
        )

    @property
    def follower(self) -> StartFollower:
        return StartFollower(
            reader=self.reader,
            services=self.services,
            targets=self.targets,
            probe=self.probe,
            journal=self.journal,
        )

    @property
    def verifier(self) -> Verifier:
        return Verifier(
            services=self.services, targets=self.targets, probe=self.probe, journal=self.journal
        )

    @property
    def announcer(self) -> Announcer:
        return Announcer(events=self.events, operations=self.table, control_stack=CONTROL)

    @property
    def cleaner(self) -> Cleaner:
        return Cleaner(journal=self.journal, finisher=self.finisher, tasks=NO_BROKERS)

    @property
    def finisher(self) -> Finisher:
        return Finisher(
            stacks=self.stacks,
            services=self.services,
            artifacts=self.artifacts,
            journal=self.journal,
            announcer=self.announcer,
            control_stack=CONTROL,
        )

    @property
    def teardown_planner(self) -> TeardownPlanner:
        return TeardownPlanner(
            stacks=self.stacks,
            storage=self.storage,
            former=self.former,
            ways=WaysBack(
                things=self.kept,
                buckets=self.backup_buckets,
                translate=lambda _: None,
                control_stack=CONTROL,
            ),
            control_stack=CONTROL,
            region="eu-central-1",
        )

    @property
    def teardown_plan_writer(self) -> TeardownPlanWriter:
        return TeardownPlanWriter(
            planner=self.teardown_planner,
            artifacts=self.artifacts,
            operations=self.table,
            clock=self.clock,
        )

    @property
    def stopper(self) -> ClusterStopper:
        return ClusterStopper(
            stacks=self.stacks,
            services=self.services,
            targets=self.targets,
            namespaces=self.namespaces,
            journal=self.journal,
            control_stack=CONTROL,
        )

    @property
    def emptier(self) -> TrialEmptier:
        return TrialEmptier(
            stacks=self.stacks,
            storage=self.storage,
            former=self.former,
            journal=self.journal,
            control_stack=CONTROL,
        )

    @property
    def deleter(self) -> StackDeleter:
        return StackDeleter(
            stacks=self.stacks,
            databases=self.databases,
            former=self.former,
            balancers=self.balancers,
            health=self.table,
            journal=self.journal,
            control_stack=CONTROL,
        )

    def _stored(self, url: str) -> str:
        key, _, version = url.rpartition(".com/")[2].partition("?versionId=")
        return (self.artifacts.get(key, version) or b"").decode()

    def bring_down(self) -> None:
        """Let the targets of services without tasks be gone."""
        for arn, name in (
            ("arn:rest", "orchestration-cluster"),
            ("arn:grpc", "orchestration-cluster"),
            ("arn:connectors", "connectors"),
        ):
            if name not in self.services.services or self.services.services[name].running == 0:
                self.targets.by_arn[arn] = []

    def bring_up(self) -> None:
        """Let everything that was asked for run and be healthy."""
        for name in self.services.services:
            self.services.settle(name)
        brokers, connectors = (one.desired for one in self.services.describe("", NAMES))
        self.targets.set_healthy("arn:rest", brokers)
        self.targets.set_healthy("arn:grpc", brokers)
        self.targets.set_healthy("arn:connectors", connectors)
        self.probe.answers["brokers"] = FORMED

    @property
    def desired(self) -> dict[str, int]:
        return {one.name: one.desired for one in self.services.describe("", NAMES)}

    def plan(
        self,
        op: Operation,
        requested: dict[str, str] | None = None,
        requested_tags: dict[str, str | None] | None = None,
    ) -> Any:
        return self.changer.plan(
            op,
            stack="control-demo",
            requested=requested or {},
            requested_tags=requested_tags or {},
            template=TEMPLATE,
            database_ca="PEM",
            polls=0,
        )
