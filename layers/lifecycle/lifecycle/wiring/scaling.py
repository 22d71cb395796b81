"""Which adapter stands behind which port: scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.common import SystemClock, artifacts, journal, probe, settings, stacks
from lifecycle.wiring.login import logins

if TYPE_CHECKING:
    from lifecycle.scaling.change_brokers import BrokerChanger
    from lifecycle.scaling.count import CountSetter
    from lifecycle.scaling.create_plan import ScalePlanner
    from lifecycle.scaling.observe import BrokerReader, ScaleObserver
    from lifecycle.scaling.probe import ScalingProber
    from lifecycle.scaling.protection import TaskProtector

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


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

    return ScaleObserver(
        reader=broker_reader(),
        targets=ElbTargetGroups(),
        journal=journal(),
        region=settings().region,
    )


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
        freezes=DynamoTable(settings().table_name),
        clock=SystemClock(),
        region=settings().region,
    )


def count_setter() -> CountSetter:
    """Desired count of the brokers' service."""
    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.scaling.count import CountSetter

    return CountSetter(tasks=EcsBrokerTasks(), journal=journal())


def task_protector() -> TaskProtector:
    """Protection of tasks from scale-in."""
    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.scaling.protection import TaskProtector

    return TaskProtector(tasks=EcsBrokerTasks(), journal=journal())


def broker_changer() -> BrokerChanger:
    """Camunda's cluster changes; only inside the VPC."""
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.scaling.change_brokers import BrokerChanger

    return BrokerChanger(management=HttpManagement, journal=journal())


def scaling_prober() -> ScalingProber:
    """The query about scaling, inside the VPC."""
    import os

    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.scaling.probe import ScalingProber

    networks = (os.environ["VPC_CIDR"],)
    return ScalingProber(
        management=lambda name: HttpManagement(name, networks=networks),
        logins=logins(),
    )
