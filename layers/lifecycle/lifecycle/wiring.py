"""Which adapter stands behind which port. Plain functions; nothing is made before it is needed."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from lifecycle.api.app import Api
    from lifecycle.cluster.service_definition import Definition
    from lifecycle.operations.adopt_plan import PlanAdopter
    from lifecycle.operations.announce import Announcer
    from lifecycle.operations.ask_instances import InstanceProber
    from lifecycle.operations.change_brokers import BrokerChanger
    from lifecycle.operations.change_stack import StackChanger
    from lifecycle.operations.clean_up_operation import Cleaner
    from lifecycle.operations.discard_plan import Discarder
    from lifecycle.operations.finish_operation import Finisher
    from lifecycle.operations.journal import Journal
    from lifecycle.operations.judge_health import HealthJudge
    from lifecycle.operations.locate_cluster import ClusterLocator
    from lifecycle.operations.make_plan import Planner
    from lifecycle.operations.observe_health import HealthObserver
    from lifecycle.operations.plan_scaling import ScalePlanner
    from lifecycle.operations.preflight_cluster import Preflight
    from lifecycle.operations.probe_cluster import Prober
    from lifecycle.operations.probe_health import HealthProber
    from lifecycle.operations.probe_scaling import ScalingProber
    from lifecycle.operations.roll_services import BrokerReplacer, ServiceRoller
    from lifecycle.operations.scale_cluster import (
        BrokerReader,
        CountSetter,
        ScaleObserver,
        TaskProtector,
    )
    from lifecycle.operations.seed_database import DatabaseSeeder
    from lifecycle.operations.start_operation import OperationStarter, Validator
    from lifecycle.operations.start_services import ServiceReader, ServiceStarter, StartFollower
    from lifecycle.operations.tear_down import (
        ClusterStopper,
        StackDeleter,
        TeardownPlanner,
        TrialEmptier,
    )
    from lifecycle.operations.verify_cluster import Verifier
    from lifecycle.ports import Artifacts, Probe, Stacks
    from lifecycle.restart.handle_retirement import RetirementHandler
    from lifecycle.restart.restart_services import ServiceRestarter

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


class SystemClock:
    """The ``Clock`` port on the system's clock."""

    def now(self) -> datetime:
        """Present time, aware, in UTC."""
        return datetime.now(UTC)


@functools.cache
def settings() -> Settings:
    """Read the environment once per process."""
    return Settings.from_env()


def stacks() -> Stacks:
    """CloudFormation."""
    from lifecycle.adapters.cloudformation import CloudFormationStacks

    return CloudFormationStacks(settings().deployment_role_arn)


def artifacts() -> Artifacts:
    """Artifact bucket."""
    from lifecycle.adapters.s3 import S3Artifacts

    return S3Artifacts(settings().artifact_bucket, settings().region)


def probe() -> Probe:
    """Function inside the VPC."""
    from lifecycle.adapters.probe import LambdaProbe

    return LambdaProbe(Settings.from_env(None, "PROBE_FUNCTION").probe_function)


def journal() -> Journal:
    """Locks and records."""
    from lifecycle.adapters.dynamodb import DynamoTable
    from lifecycle.adapters.stepfunctions import StepFunctionsExecutions
    from lifecycle.operations.journal import Journal

    table = DynamoTable(settings().table_name)
    return Journal(
        locks=table, operations=table, executions=StepFunctionsExecutions(), clock=SystemClock()
    )


def stack_changer() -> StackChanger:
    """Change of the cluster's stack."""
    from lifecycle.core.parameters import cluster_parameters
    from lifecycle.operations.change_stack import StackChanger

    return StackChanger(
        stacks=stacks(),
        artifacts=artifacts(),
        journal=journal(),
        control_stack=settings().control_stack,
        declarations=cluster_parameters(),
    )


def preflight() -> Preflight:
    """Checks before any change."""
    import os

    from lifecycle.adapters.account import AwsAccount
    from lifecycle.core.parameters import cluster_parameters
    from lifecycle.operations.preflight_cluster import Preflight

    return Preflight(
        stacks=stacks(),
        account=AwsAccount(
            region=settings().region,
            vpc=os.environ["VPC_ID"],
            subnets=tuple(os.environ["PRIVATE_SUBNET_IDS"].split(",")),
            bucket=settings().artifact_bucket,
            deployment_role=settings().deployment_role_arn,
        ),
        region=settings().region,
        control_stack=settings().control_stack,
        declarations=cluster_parameters(),
        probe=probe,
        clock=SystemClock(),
    )


def planner() -> Planner:
    """Plans of provisioning."""
    import os

    from lifecycle.adapters.dynamodb import DynamoTable
    from lifecycle.adapters.ecr import EcrRegistry
    from lifecycle.adapters.ecs import EcsServices
    from lifecycle.adapters.prices import PriceListApi
    from lifecycle.adapters.scheduler import OneTimeSchedules
    from lifecycle.core.parameters import cluster_parameters
    from lifecycle.operations.make_plan import Planner

    return Planner(
        stacks=stacks(),
        services=EcsServices(),
        registry=EcrRegistry(),
        definitions=service_definitions(),
        artifacts=artifacts(),
        # Only the function that makes plans schedules their end, and is told how.
        schedules=OneTimeSchedules(
            group=os.environ.get("SCHEDULE_GROUP", ""),
            function_arn=os.environ.get("DISCARD_FUNCTION", ""),
            role_arn=os.environ.get("SCHEDULER_ROLE_ARN", ""),
            dead_letters=os.environ.get("DEAD_LETTERS_ARN", ""),
        ),
        prices=PriceListApi(),
        operations=DynamoTable(settings().table_name),
        clock=SystemClock(),
        region=settings().region,
        role=settings().deployment_role_arn,
        control_stack=settings().control_stack,
        declarations=cluster_parameters(),
    )


def plan_adopter() -> PlanAdopter:
    """Taking up of a reviewed plan."""
    import os

    from lifecycle.operations.adopt_plan import PlanAdopter

    return PlanAdopter(
        planner=planner(),
        journal=journal(),
        require_second_person=os.environ.get("REQUIRE_SECOND_PERSON") == "true",
    )


def discarder() -> Discarder:
    """End of a plan."""
    from lifecycle.adapters.dynamodb import DynamoTable
    from lifecycle.adapters.stepfunctions import StepFunctionsExecutions
    from lifecycle.operations.discard_plan import Discarder

    return Discarder(
        stacks=stacks(),
        locks=DynamoTable(settings().table_name),
        executions=StepFunctionsExecutions(),
        clock=SystemClock(),
    )


def cluster_template() -> bytes:
    """Template of the cluster stack, as it was shipped with the functions."""
    return Path(settings().cluster_template).read_bytes()


def database_seeder() -> DatabaseSeeder:
    """Seed of the database's IAM user; needs the layer with psycopg."""
    from lifecycle.adapters.database import PostgresDatabase
    from lifecycle.adapters.database_tokens import RdsTokens
    from lifecycle.adapters.secrets import SecretsManagerUsers
    from lifecycle.operations.seed_database import DatabaseSeeder

    return DatabaseSeeder(
        database=PostgresDatabase,
        users=SecretsManagerUsers(),
        tokens=RdsTokens(),
        journal=journal(),
    )


@functools.cache
def service_definitions() -> Mapping[str, Definition]:
    """Definitions of the ECS services, as they were shipped with the functions."""
    import json

    from lifecycle.cluster.service_definition import NAMES

    folder = Path(settings().service_definitions)
    return {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in NAMES}


def service_reader() -> ServiceReader:
    """The services of a cluster beside their definitions."""
    from lifecycle.adapters.ecs import EcsServices
    from lifecycle.operations.start_services import ServiceReader

    return ServiceReader(
        stacks=stacks(),
        services=EcsServices(),
        definitions=service_definitions(),
        control_stack=settings().control_stack,
    )


def service_starter() -> ServiceStarter:
    """Start of brokers and connectors."""
    from lifecycle.adapters.ecs import EcsServices
    from lifecycle.adapters.s3 import S3NodeIdLeases
    from lifecycle.operations.start_services import ServiceStarter

    return ServiceStarter(
        reader=service_reader(),
        services=EcsServices(),
        leases=S3NodeIdLeases(),
        journal=journal(),
    )


def service_roller() -> ServiceRoller:
    """Move of brokers and connectors to their newest revision."""
    from lifecycle.adapters.ecs import EcsServices
    from lifecycle.operations.roll_services import ServiceRoller

    return ServiceRoller(
        reader=service_reader(), services=EcsServices(), replacer=broker_replacer()
    )


def broker_replacer() -> BrokerReplacer:
    """Replacement of every broker, one at a time."""
    from lifecycle.adapters.ecs_tasks import EcsBrokerTasks
    from lifecycle.operations.roll_services import BrokerReplacer

    return BrokerReplacer(tasks=EcsBrokerTasks(), probe=probe(), journal=journal())


def service_restarter() -> ServiceRestarter:
    """Restart of brokers and connectors."""
    from lifecycle.adapters.ecs import EcsServices
    from lifecycle.adapters.ecs_tasks import EcsBrokerTasks
    from lifecycle.adapters.elbv2 import ElbTargetGroups
    from lifecycle.restart.restart_services import ServiceRestarter

    return ServiceRestarter(
        services=EcsServices(),
        tasks=EcsBrokerTasks(),
        targets=ElbTargetGroups(),
        probe=probe(),
        replacer=broker_replacer(),
        journal=journal(),
    )


def retirement_handler(function_arn: str) -> RetirementHandler:
    """Restarts before Fargate retires tasks, in the function of that ARN, which it schedules."""
    import os

    from lifecycle.adapters.ecs_tasks import EcsBrokerTasks
    from lifecycle.adapters.scheduler import OneTimeSchedules
    from lifecycle.adapters.sns import SnsMessages
    from lifecycle.restart.handle_retirement import RetirementHandler
    from lifecycle.restart.validate_restart import validate_restart

    tasks = EcsBrokerTasks()

    def valid(raw: Mapping[str, object]) -> object:
        return validate_restart(raw, control_stack=settings().control_stack, stacks=stacks())

    return RetirementHandler(
        stacks=stacks(),
        tasks=tasks,
        service_of=tasks.service_of,
        schedules=OneTimeSchedules(
            group=os.environ["SCHEDULE_GROUP"],
            function_arn=function_arn,
            role_arn=os.environ["SCHEDULER_ROLE_ARN"],
            dead_letters=os.environ["DEAD_LETTERS_ARN"],
        ),
        starter=operation_starter(function_arn, {"restart": valid}),
        messages=SnsMessages(os.environ["TOPIC_ARN"]),
        clock=SystemClock(),
        control_stack=settings().control_stack,
        region=settings().region,
    )


def start_follower() -> StartFollower:
    """Watch over the start of brokers and connectors."""
    from lifecycle.adapters.ecs import EcsServices
    from lifecycle.adapters.elbv2 import ElbTargetGroups
    from lifecycle.operations.start_services import StartFollower

    return StartFollower(
        reader=service_reader(),
        services=EcsServices(),
        targets=ElbTargetGroups(),
        probe=probe(),
        journal=journal(),
    )


def verifier() -> Verifier:
    """Verification of a cluster."""
    from lifecycle.adapters.ecs import EcsServices
    from lifecycle.adapters.elbv2 import ElbTargetGroups
    from lifecycle.operations.verify_cluster import Verifier

    return Verifier(
        services=EcsServices(), targets=ElbTargetGroups(), probe=probe(), journal=journal()
    )


def teardown_planner() -> TeardownPlanner:
    """What a teardown would do."""
    from lifecycle.adapters.storage import AwsStorage
    from lifecycle.operations.tear_down import TeardownPlanner

    return TeardownPlanner(
        stacks=stacks(),
        storage=AwsStorage(),
        control_stack=settings().control_stack,
        region=settings().region,
    )


def cluster_stopper() -> ClusterStopper:
    """Stop of brokers and connectors before their removal."""
    from lifecycle.adapters.cloud_map import CloudMapNamespaces
    from lifecycle.adapters.ecs import EcsServices
    from lifecycle.adapters.elbv2 import ElbTargetGroups
    from lifecycle.operations.tear_down import ClusterStopper

    return ClusterStopper(
        stacks=stacks(),
        services=EcsServices(),
        targets=ElbTargetGroups(),
        namespaces=CloudMapNamespaces(),
        journal=journal(),
        control_stack=settings().control_stack,
    )


def trial_emptier() -> TrialEmptier:
    """Emptying of a trial's buckets."""
    from lifecycle.adapters.storage import AwsStorage
    from lifecycle.operations.tear_down import TrialEmptier

    return TrialEmptier(
        stacks=stacks(),
        storage=AwsStorage(),
        journal=journal(),
        control_stack=settings().control_stack,
    )


def stack_deleter() -> StackDeleter:
    """Deletion of a cluster's stack."""
    from lifecycle.adapters.dynamodb import DynamoTable
    from lifecycle.adapters.rds import RdsDatabases
    from lifecycle.operations.tear_down import StackDeleter

    return StackDeleter(
        stacks=stacks(),
        databases=RdsDatabases(),
        health=DynamoTable(settings().table_name),
        journal=journal(),
        control_stack=settings().control_stack,
    )


def announcer() -> Announcer:
    """Events that tell how an operation goes."""
    from lifecycle.adapters.dynamodb import DynamoTable
    from lifecycle.adapters.events import EventBridgeEvents
    from lifecycle.operations.announce import Announcer

    return Announcer(
        events=EventBridgeEvents(Settings.from_env(None, "EVENT_BUS").event_bus),
        operations=DynamoTable(settings().table_name),
        control_stack=settings().control_stack,
    )


def cleaner() -> Cleaner:
    """End of an operation whose execution could not end it."""
    from lifecycle.adapters.ecs_tasks import EcsBrokerTasks
    from lifecycle.operations.clean_up_operation import Cleaner

    return Cleaner(journal=journal(), finisher=finisher(), tasks=EcsBrokerTasks())


def finisher() -> Finisher:
    """End of an operation."""
    from lifecycle.adapters.ecs import EcsServices
    from lifecycle.operations.finish_operation import Finisher

    return Finisher(
        stacks=stacks(),
        services=EcsServices(),
        artifacts=artifacts(),
        journal=journal(),
        announcer=announcer(),
        control_stack=settings().control_stack,
    )


def prober() -> Prober:
    """Questions that can be asked only inside the VPC."""
    import os

    from lifecycle.adapters.management import HttpManagement
    from lifecycle.adapters.paths import NetworkPaths
    from lifecycle.adapters.secrets import SecretsManagerUsers
    from lifecycle.operations.probe_cluster import Prober

    networks = (os.environ["VPC_CIDR"],)
    return Prober(
        management=lambda name: HttpManagement(name, networks=networks),
        paths=NetworkPaths(),
        users=SecretsManagerUsers(),
        networks=networks,
    )


def instance_prober() -> InstanceProber:
    """The question about process instances, asked inside the VPC."""
    import os
    import time

    from lifecycle.adapters.management import HttpManagement
    from lifecycle.adapters.processes import HttpProcesses
    from lifecycle.adapters.secrets import SecretsManagerUsers
    from lifecycle.adapters.wire import Timeouts
    from lifecycle.operations.ask_instances import InstanceProber

    networks = (os.environ["VPC_CIDR"],)
    timeouts = Timeouts(connect=2.0, read=5.0)
    return InstanceProber(
        management=lambda name: HttpManagement(name, timeouts=timeouts, budget_seconds=6.0),
        processes=lambda name: HttpProcesses(
            name, networks=networks, timeouts=timeouts, budget_seconds=6.0
        ),
        users=SecretsManagerUsers(),
        monotonic=time.monotonic,
    )


def broker_reader() -> BrokerReader:
    """Everything that a decision about scaling rests on."""
    from lifecycle.adapters.autoscaling import AwsScalableTargets
    from lifecycle.adapters.ecs_tasks import EcsBrokerTasks
    from lifecycle.adapters.quotas import AwsFargateQuota
    from lifecycle.operations.scale_cluster import BrokerReader

    return BrokerReader(
        stacks=stacks(),
        tasks=EcsBrokerTasks(),
        probe=probe(),
        quota=AwsFargateQuota(),
        scalable=AwsScalableTargets(),
        control_stack=settings().control_stack,
    )


def scale_observer() -> ScaleObserver:
    """Decisions about scaling."""
    from lifecycle.adapters.elbv2 import ElbTargetGroups
    from lifecycle.operations.scale_cluster import ScaleObserver

    return ScaleObserver(reader=broker_reader(), targets=ElbTargetGroups(), journal=journal())


def scale_planner() -> ScalePlanner:
    """Plans of scaling."""
    import os

    from lifecycle.adapters.dynamodb import DynamoTable
    from lifecycle.adapters.prices import PriceListApi
    from lifecycle.adapters.service_design import EcsServiceDesigns
    from lifecycle.operations.plan_scaling import ScalePlanner

    return ScalePlanner(
        reader=broker_reader(),
        designs=EcsServiceDesigns(),
        prices=PriceListApi(),
        function_group=os.environ["FUNCTION_SECURITY_GROUP"],
        network=os.environ["VPC_CIDR"],
        artifacts=artifacts(),
        operations=DynamoTable(settings().table_name),
        clock=SystemClock(),
        region=settings().region,
    )


def count_setter() -> CountSetter:
    """Desired count of the brokers' service."""
    from lifecycle.adapters.ecs_tasks import EcsBrokerTasks
    from lifecycle.operations.scale_cluster import CountSetter

    return CountSetter(tasks=EcsBrokerTasks(), journal=journal())


def task_protector() -> TaskProtector:
    """Protection of tasks from scale-in."""
    from lifecycle.adapters.ecs_tasks import EcsBrokerTasks
    from lifecycle.operations.scale_cluster import TaskProtector

    return TaskProtector(tasks=EcsBrokerTasks(), journal=journal())


def broker_changer() -> BrokerChanger:
    """Camunda's cluster changes; only inside the VPC."""
    from lifecycle.adapters.management import HttpManagement
    from lifecycle.operations.change_brokers import BrokerChanger

    return BrokerChanger(management=HttpManagement, journal=journal())


def scaling_prober() -> ScalingProber:
    """The question about scaling, asked inside the VPC."""
    import os

    from lifecycle.adapters.management import HttpManagement
    from lifecycle.adapters.secrets import SecretsManagerUsers
    from lifecycle.operations.probe_scaling import ScalingProber

    networks = (os.environ["VPC_CIDR"],)
    return ScalingProber(
        management=lambda name: HttpManagement(name, networks=networks),
        users=SecretsManagerUsers(),
    )


def partition_counter() -> Callable[[Mapping[str, str]], dict[str, Any]]:
    """The question how many partitions there are, asked inside the VPC; quick or not answered."""
    from lifecycle.adapters.management import HttpManagement
    from lifecycle.operations.live_partitions import ask_partitions

    # Validation waits for it, and its own time is short.
    return lambda cluster: ask_partitions(
        HttpManagement(cluster["DiscoveryName"], budget_seconds=15.0)
    )


def cluster_locator() -> ClusterLocator:
    """The cluster that a check is about."""
    from lifecycle.adapters.cloudformation import CloudFormationStacks
    from lifecycle.operations.locate_cluster import ClusterLocator

    return ClusterLocator(
        stacks=CloudFormationStacks(settings().deployment_role_arn),
        control_stack=settings().control_stack,
    )


@functools.cache
def health_observer() -> HealthObserver:
    """The outside of a health check."""
    from lifecycle.adapters.cloud_sight import AwsSight
    from lifecycle.operations.observe_health import HealthObserver

    return HealthObserver(cloud=AwsSight(), definitions=service_definitions)


def health_prober() -> HealthProber:
    """The inside of a health check; needs the layer with psycopg."""
    import os

    from lifecycle.adapters.database import PostgresDatabase
    from lifecycle.adapters.database_tokens import RdsTokens
    from lifecycle.adapters.leases import S3Leases
    from lifecycle.adapters.management import HttpManagement
    from lifecycle.adapters.secrets import SecretsManagerUsers
    from lifecycle.adapters.wire import Timeouts
    from lifecycle.operations.probe_health import HealthProber

    networks = (os.environ["VPC_CIDR"],)
    # A broker that hangs must not use up the time of those that do not.
    timeouts = Timeouts(connect=1.0, read=2.0)
    return HealthProber(
        management=lambda name: HttpManagement(
            name, networks=networks, timeouts=timeouts, budget_seconds=4.5
        ),
        users=SecretsManagerUsers(),
        database=lambda target: PostgresDatabase(target, connect_timeout=4),
        tokens=RdsTokens(),
        leases=S3Leases(),
    )


def health_judge() -> HealthJudge:
    """The verdict of a health check, and who is told."""
    import os
    import time

    from lifecycle.adapters.events import EventBridgeEvents
    from lifecycle.adapters.health_table import HealthTable
    from lifecycle.adapters.metrics import EmbeddedMetrics
    from lifecycle.adapters.sns import SnsMessages
    from lifecycle.operations.judge_health import HealthJudge

    return HealthJudge(
        records=HealthTable(settings().table_name),
        events=EventBridgeEvents(Settings.from_env(None, "EVENT_BUS").event_bus),
        messages=SnsMessages(os.environ["TOPIC_ARN"]),
        metrics=EmbeddedMetrics(time.time),
        clock=SystemClock(),
        control_stack=settings().control_stack,
    )


def operation_starter(function_arn: str, validators: Mapping[str, Validator]) -> OperationStarter:
    """Start of operations, in the function of that ARN."""
    import secrets

    from lifecycle.adapters.dynamodb import DynamoTable
    from lifecycle.adapters.stepfunctions import StepFunctionsExecutions
    from lifecycle.core.arns import MachineArns
    from lifecycle.operations.start_operation import OperationStarter

    return OperationStarter(
        machines=StepFunctionsExecutions(),
        records=DynamoTable(settings().table_name),
        journal=journal(),
        arns=MachineArns.beside(function_arn, settings().control_stack),
        validators=validators,
        new_key=lambda: f"{SystemClock().now():%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
    )


@functools.cache
def api(function_arn: str) -> Api:
    """The REST API, in the function of that ARN."""
    from lifecycle.adapters.cloudformation import CloudFormationStacks
    from lifecycle.adapters.dynamodb import DynamoTable
    from lifecycle.adapters.ecs import EcsServices
    from lifecycle.adapters.health_table import HealthTable
    from lifecycle.adapters.probe import LambdaProbe
    from lifecycle.adapters.stepfunctions import StepFunctionsExecutions
    from lifecycle.api.app import Api
    from lifecycle.core.arns import MachineArns
    from lifecycle.core.parameters import cluster_parameters
    from lifecycle.observability import of_aws
    from lifecycle.operations.read_clusters import ClusterReader
    from lifecycle.operations.read_health import HealthReader
    from lifecycle.operations.read_operations import OperationReader
    from lifecycle.operations.validate_start import StartValidation

    control_stack = settings().control_stack
    arns = MachineArns.beside(function_arn, control_stack)
    machines, table = StepFunctionsExecutions(), DynamoTable(settings().table_name)
    cloudformation = CloudFormationStacks(settings().deployment_role_arn)
    operations = OperationReader(machines=machines, records=table, arns=arns)
    # API Gateway answers for us after 29 s; what is known by then must be told.
    probe = LambdaProbe(
        Settings.from_env(None, "PROBE_FUNCTION").probe_function, read_timeout=15, attempts=1
    )
    return Api(
        starter=operation_starter(
            function_arn,
            StartValidation(
                stacks=cloudformation,
                control_stack=control_stack,
                declarations=cluster_parameters(),
                probe=probe,
            ).by_verb(),
        ),
        operations=operations,
        clusters=ClusterReader(
            stacks=cloudformation,
            services=EcsServices(),
            probe=probe,
            operations=operations,
            control_stack=control_stack,
            translate=of_aws,
        ),
        health=HealthReader(records=HealthTable(settings().table_name), checks=machines, arns=arns),
        translate=of_aws,
    )
