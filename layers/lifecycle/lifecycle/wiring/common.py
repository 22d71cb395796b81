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
    from lifecycle.api.probe import Prober
    from lifecycle.cluster.ports import Artifacts, Probe, Stacks
    from lifecycle.health.collect_aws import HealthObserver
    from lifecycle.health.collect_in_vpc import HealthProber
    from lifecycle.health.evaluate import HealthJudge
    from lifecycle.health.locate import ClusterLocator
    from lifecycle.operation.announce import Announcer
    from lifecycle.operation.clean_up import Cleaner
    from lifecycle.operation.finish import Finisher
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.start import OperationStarter, Validator
    from lifecycle.plans.apply import PlanAdopter
    from lifecycle.plans.create import Planner
    from lifecycle.plans.expire import Discarder
    from lifecycle.preflight.run import Preflight
    from lifecycle.provisioning.change_set import StackChanger
    from lifecycle.provisioning.roll_services import BrokerReplacer, ServiceRoller
    from lifecycle.provisioning.seed_database import DatabaseSeeder
    from lifecycle.provisioning.start_services import ServiceReader, ServiceStarter, StartFollower
    from lifecycle.restart.handle_retirement import RetirementHandler
    from lifecycle.restart.restart_services import ServiceRestarter
    from lifecycle.scaling.change_brokers import BrokerChanger
    from lifecycle.scaling.create_plan import ScalePlanner
    from lifecycle.scaling.observe import (
        BrokerReader,
        CountSetter,
        ScaleObserver,
        TaskProtector,
    )
    from lifecycle.scaling.probe import ScalingProber
    from lifecycle.services.definition import Definition
    from lifecycle.teardown.steps import (
        ClusterStopper,
        StackDeleter,
        TeardownPlanner,
        TrialEmptier,
    )
    from lifecycle.verification.create_instances import InstanceProber
    from lifecycle.verification.verify import Verifier

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
    from lifecycle.adapters.aws.cloudformation import CloudFormationStacks

    return CloudFormationStacks(settings().deployment_role_arn)


def artifacts() -> Artifacts:
    """Artifact bucket."""
    from lifecycle.adapters.aws.s3 import S3Artifacts

    return S3Artifacts(settings().artifact_bucket, settings().region)


def probe() -> Probe:
    """Function inside the VPC."""
    from lifecycle.adapters.aws.lambda_probe import LambdaProbe

    return LambdaProbe(Settings.from_env(None, "PROBE_FUNCTION").probe_function)


def journal() -> Journal:
    """Locks and records."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.stepfunctions import StepFunctionsExecutions
    from lifecycle.operation.journal import Journal

    table = DynamoTable(settings().table_name)
    return Journal(
        locks=table, operations=table, executions=StepFunctionsExecutions(), clock=SystemClock()
    )


def stack_changer() -> StackChanger:
    """Change of the cluster's stack."""
    from lifecycle.cluster.parameters import cluster_parameters
    from lifecycle.provisioning.change_set import StackChanger

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

    from lifecycle.adapters.aws.account import AwsAccount
    from lifecycle.cluster.parameters import cluster_parameters
    from lifecycle.preflight.run import Preflight

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

    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.ecr import EcrRegistry
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.pricing import PriceListApi
    from lifecycle.adapters.aws.scheduler import OneTimeSchedules
    from lifecycle.cluster.parameters import cluster_parameters
    from lifecycle.plans.create import Planner

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

    from lifecycle.plans.apply import PlanAdopter

    return PlanAdopter(
        planner=planner(),
        journal=journal(),
        require_second_person=os.environ.get("REQUIRE_SECOND_PERSON") == "true",
    )


def discarder() -> Discarder:
    """End of a plan."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.stepfunctions import StepFunctionsExecutions
    from lifecycle.plans.expire import Discarder

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
    from lifecycle.adapters.aws.secrets import SecretsManagerUsers
    from lifecycle.adapters.postgres.database import PostgresDatabase
    from lifecycle.adapters.postgres.rds_tokens import RdsTokens
    from lifecycle.provisioning.seed_database import DatabaseSeeder

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

    from lifecycle.services.definition import NAMES

    folder = Path(settings().service_definitions)
    return {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in NAMES}


def service_reader() -> ServiceReader:
    """The services of a cluster beside their definitions."""
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.provisioning.start_services import ServiceReader

    return ServiceReader(
        stacks=stacks(),
        services=EcsServices(),
        definitions=service_definitions(),
        control_stack=settings().control_stack,
    )


def service_starter() -> ServiceStarter:
    """Start of brokers and connectors."""
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.s3 import S3NodeIdLeases
    from lifecycle.provisioning.start_services import ServiceStarter

    return ServiceStarter(
        reader=service_reader(),
        services=EcsServices(),
        leases=S3NodeIdLeases(),
        journal=journal(),
    )


def service_roller() -> ServiceRoller:
    """Move of brokers and connectors to their newest revision."""
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.provisioning.roll_services import ServiceRoller

    return ServiceRoller(
        reader=service_reader(), services=EcsServices(), replacer=broker_replacer()
    )


def broker_replacer() -> BrokerReplacer:
    """Replacement of every broker, one at a time."""
    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.provisioning.roll_services import BrokerReplacer

    return BrokerReplacer(tasks=EcsBrokerTasks(), probe=probe(), journal=journal())


def service_restarter() -> ServiceRestarter:
    """Restart of brokers and connectors."""
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.adapters.aws.elbv2 import ElbTargetGroups
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

    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.adapters.aws.scheduler import OneTimeSchedules
    from lifecycle.adapters.aws.sns import SnsMessages
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
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.elbv2 import ElbTargetGroups
    from lifecycle.provisioning.start_services import StartFollower

    return StartFollower(
        reader=service_reader(),
        services=EcsServices(),
        targets=ElbTargetGroups(),
        probe=probe(),
        journal=journal(),
    )


def verifier() -> Verifier:
    """Verification of a cluster."""
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.elbv2 import ElbTargetGroups
    from lifecycle.verification.verify import Verifier

    return Verifier(
        services=EcsServices(), targets=ElbTargetGroups(), probe=probe(), journal=journal()
    )


def teardown_planner() -> TeardownPlanner:
    """What a teardown would do."""
    from lifecycle.adapters.aws.retained_data import AwsStorage
    from lifecycle.teardown.steps import TeardownPlanner

    return TeardownPlanner(
        stacks=stacks(),
        storage=AwsStorage(),
        control_stack=settings().control_stack,
        region=settings().region,
    )


def cluster_stopper() -> ClusterStopper:
    """Stop of brokers and connectors before their removal."""
    from lifecycle.adapters.aws.cloud_map import CloudMapNamespaces
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.elbv2 import ElbTargetGroups
    from lifecycle.teardown.steps import ClusterStopper

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
    from lifecycle.adapters.aws.retained_data import AwsStorage
    from lifecycle.teardown.steps import TrialEmptier

    return TrialEmptier(
        stacks=stacks(),
        storage=AwsStorage(),
        journal=journal(),
        control_stack=settings().control_stack,
    )


def stack_deleter() -> StackDeleter:
    """Deletion of a cluster's stack."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.rds import RdsDatabases
    from lifecycle.teardown.steps import StackDeleter

    return StackDeleter(
        stacks=stacks(),
        databases=RdsDatabases(),
        health=DynamoTable(settings().table_name),
        journal=journal(),
        control_stack=settings().control_stack,
    )


def announcer() -> Announcer:
    """Events that tell how an operation goes."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.eventbridge import EventBridgeEvents
    from lifecycle.operation.announce import Announcer

    return Announcer(
        events=EventBridgeEvents(Settings.from_env(None, "EVENT_BUS").event_bus),
        operations=DynamoTable(settings().table_name),
        control_stack=settings().control_stack,
    )


def cleaner() -> Cleaner:
    """End of an operation whose execution could not end it."""
    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.operation.clean_up import Cleaner

    return Cleaner(journal=journal(), finisher=finisher(), tasks=EcsBrokerTasks())


def finisher() -> Finisher:
    """End of an operation."""
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.operation.finish import Finisher

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

    from lifecycle.adapters.aws.secrets import SecretsManagerUsers
    from lifecycle.adapters.camunda.load_balancers import NetworkPaths
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.api.probe import Prober

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

    from lifecycle.adapters.aws.secrets import SecretsManagerUsers
    from lifecycle.adapters.camunda.http_client import Timeouts
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.adapters.camunda.processes import HttpProcesses
    from lifecycle.verification.create_instances import InstanceProber

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
    from lifecycle.adapters.aws.autoscaling import AwsScalableTargets
    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.adapters.aws.service_quotas import AwsFargateQuota
    from lifecycle.scaling.observe import BrokerReader

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
    from lifecycle.adapters.aws.elbv2 import ElbTargetGroups
    from lifecycle.scaling.observe import ScaleObserver

    return ScaleObserver(reader=broker_reader(), targets=ElbTargetGroups(), journal=journal())


def scale_planner() -> ScalePlanner:
    """Plans of scaling."""
    import os

    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.pricing import PriceListApi
    from lifecycle.adapters.aws.service_design import EcsServiceDesigns
    from lifecycle.scaling.create_plan import ScalePlanner

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
    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.scaling.observe import CountSetter

    return CountSetter(tasks=EcsBrokerTasks(), journal=journal())


def task_protector() -> TaskProtector:
    """Protection of tasks from scale-in."""
    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.scaling.observe import TaskProtector

    return TaskProtector(tasks=EcsBrokerTasks(), journal=journal())


def broker_changer() -> BrokerChanger:
    """Camunda's cluster changes; only inside the VPC."""
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.scaling.change_brokers import BrokerChanger

    return BrokerChanger(management=HttpManagement, journal=journal())


def scaling_prober() -> ScalingProber:
    """The question about scaling, asked inside the VPC."""
    import os

    from lifecycle.adapters.aws.secrets import SecretsManagerUsers
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.scaling.probe import ScalingProber

    networks = (os.environ["VPC_CIDR"],)
    return ScalingProber(
        management=lambda name: HttpManagement(name, networks=networks),
        users=SecretsManagerUsers(),
    )


def partition_counter() -> Callable[[Mapping[str, str]], dict[str, Any]]:
    """The question how many partitions there are, asked inside the VPC; quick or not answered."""
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.services.live_partitions import ask_partitions

    # Validation waits for it, and its own time is short.
    return lambda cluster: ask_partitions(
        HttpManagement(cluster["DiscoveryName"], budget_seconds=15.0)
    )


def cluster_locator() -> ClusterLocator:
    """The cluster that a check is about."""
    from lifecycle.adapters.aws.cloudformation import CloudFormationStacks
    from lifecycle.health.locate import ClusterLocator

    return ClusterLocator(
        stacks=CloudFormationStacks(settings().deployment_role_arn),
        control_stack=settings().control_stack,
    )


@functools.cache
def health_observer() -> HealthObserver:
    """The outside of a health check."""
    from lifecycle.adapters.aws.health_sources import AwsSight
    from lifecycle.health.collect_aws import HealthObserver

    return HealthObserver(cloud=AwsSight(), definitions=service_definitions)


def health_prober() -> HealthProber:
    """The inside of a health check; needs the layer with psycopg."""
    import os

    from lifecycle.adapters.aws.secrets import SecretsManagerUsers
    from lifecycle.adapters.camunda.http_client import Timeouts
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.adapters.camunda.node_id_leases import S3Leases
    from lifecycle.adapters.postgres.database import PostgresDatabase
    from lifecycle.adapters.postgres.rds_tokens import RdsTokens
    from lifecycle.health.collect_in_vpc import HealthProber

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

    from lifecycle.adapters.aws.eventbridge import EventBridgeEvents
    from lifecycle.adapters.aws.health_table import HealthTable
    from lifecycle.adapters.aws.metrics import EmbeddedMetrics
    from lifecycle.adapters.aws.sns import SnsMessages
    from lifecycle.health.evaluate import HealthJudge

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

    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.stepfunctions import StepFunctionsExecutions
    from lifecycle.operation.arns import MachineArns
    from lifecycle.operation.start import OperationStarter

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
    from lifecycle.adapters.aws.cloudformation import CloudFormationStacks
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.health_table import HealthTable
    from lifecycle.adapters.aws.lambda_probe import LambdaProbe
    from lifecycle.adapters.aws.stepfunctions import StepFunctionsExecutions
    from lifecycle.api.app import Api
    from lifecycle.api.clusters import ClusterReader
    from lifecycle.api.validate import StartValidation
    from lifecycle.cluster.parameters import cluster_parameters
    from lifecycle.health.read import HealthReader
    from lifecycle.observability import of_aws
    from lifecycle.operation.arns import MachineArns
    from lifecycle.operation.read import OperationReader

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
