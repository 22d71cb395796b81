"""Which adapter stands behind which port: plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.common import (
    SystemClock,
    artifacts,
    journal,
    second_approver,
    settings,
    stacks,
)
from lifecycle.wiring.provisioning import service_definitions

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.plans.apply import PlanAdopter
    from lifecycle.plans.create import Planner
    from lifecycle.plans.expire import Discarder

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


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
        # Only the function that creates plans schedules their end, and has the settings for it.
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
    from lifecycle.plans.apply import PlanAdopter

    return PlanAdopter(planner=planner(), journal=journal(), approver=second_approver())


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


def partition_counter() -> Callable[[ClusterOutputs], dict[str, Any]]:
    """The query for the number of partitions, inside the VPC; quick or unanswered."""
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.services.live_partitions import query_partitions

    # Validation waits for it, and its own time is short.
    return lambda cluster: query_partitions(
        HttpManagement(cluster.discovery_name, budget_seconds=15.0)
    )
