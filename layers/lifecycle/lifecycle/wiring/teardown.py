"""Which adapter stands behind which port: teardown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.common import SystemClock, artifacts, journal, settings, stacks
from lifecycle.wiring.former_data import former_data
from lifecycle.wiring.kept import ways_back

if TYPE_CHECKING:
    from lifecycle.teardown.create_plan import TeardownPlanWriter
    from lifecycle.teardown.steps import ClusterStopper, StackDeleter, TeardownPlanner, TrialEmptier

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def teardown_planner() -> TeardownPlanner:
    """What a teardown would do."""
    from lifecycle.adapters.aws.retained_data import AwsStorage
    from lifecycle.teardown.steps import TeardownPlanner

    return TeardownPlanner(
        stacks=stacks(),
        storage=AwsStorage(),
        ways=ways_back(),
        former=former_data(),
        control_stack=settings().control_stack,
        region=settings().region,
    )


def teardown_plan_writer() -> TeardownPlanWriter:
    """Plans of teardowns."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.teardown.create_plan import TeardownPlanWriter

    return TeardownPlanWriter(
        planner=teardown_planner(),
        artifacts=artifacts(),
        operations=DynamoTable(settings().table_name),
        clock=SystemClock(),
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
        former=former_data(),
        journal=journal(),
        control_stack=settings().control_stack,
    )


def stack_deleter() -> StackDeleter:
    """Deletion of a cluster's stack."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.elbv2 import ElbBalancers
    from lifecycle.adapters.aws.rds import RdsDatabases
    from lifecycle.teardown.steps import StackDeleter

    return StackDeleter(
        stacks=stacks(),
        databases=RdsDatabases(),
        former=former_data(),
        balancers=ElbBalancers(),
        health=DynamoTable(settings().table_name),
        journal=journal(),
        control_stack=settings().control_stack,
    )
