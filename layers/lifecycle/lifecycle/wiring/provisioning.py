"""Which adapter stands behind which port: provisioning."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.wiring.common import (
    SystemClock,
    artifacts,
    journal,
    probe,
    registries,
    settings,
    stacks,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.preflight.run import Preflight
    from lifecycle.provisioning.change_set import StackChanger
    from lifecycle.provisioning.roll_services import BrokerReplacer, ServiceRoller
    from lifecycle.provisioning.seed_database import DatabaseSeeder
    from lifecycle.provisioning.seed_login import LoginSeeder
    from lifecycle.provisioning.start_services import ServiceReader, ServiceStarter, StartFollower
    from lifecycle.services.definition import Definition
    from lifecycle.services.image_digests import Images
    from lifecycle.verification.verify import Verifier

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


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
        images=cluster_images(),
        reader=service_reader,
    )


def cluster_images() -> Images:
    """What the images of a cluster's parameters name, in the account's own registry."""
    from lifecycle.adapters.aws.ecr import EcrRegistry
    from lifecycle.cluster.parameters import cluster_parameters
    from lifecycle.services.image_digests import Images

    declared = cluster_parameters()
    return Images(
        registry=EcrRegistry(),
        role=settings().deployment_role_arn,
        region=settings().region,
        defaults={name: str(one.get("default", "")) for name, one in declared.items()},
    )


def preflight() -> Preflight:
    """Checks before any change."""
    import os

    from lifecycle.adapters.aws.account import AwsAccount
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.management_door import AwsManagementDoor
    from lifecycle.cluster.parameters import cluster_parameters
    from lifecycle.preflight.run import Preflight

    return Preflight(
        stacks=stacks(),
        freezes=DynamoTable(settings().table_name),
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
        registries=registries(),
        probe=probe,
        management=AwsManagementDoor(settings().control_stack).look,
        clock=SystemClock(),
    )


def database_seeder() -> DatabaseSeeder:
    """Seed of the database's IAM user; needs the layer with psycopg."""
    from lifecycle.adapters.aws.secrets import SecretsManagerUsers
    from lifecycle.adapters.postgres.database import PostgresDatabase
    from lifecycle.adapters.postgres.rds_tokens import RdsTokens
    from lifecycle.cluster.owned_secrets import Purpose
    from lifecycle.provisioning.seed_database import DatabaseSeeder

    return DatabaseSeeder(
        database=PostgresDatabase,
        users=SecretsManagerUsers(settings().control_stack, Purpose.DATABASE_ADMIN),
        tokens=RdsTokens(),
        journal=journal(),
    )


def login_seeder() -> LoginSeeder:
    """Seed of the client secrets of a user pool."""
    from lifecycle.adapters.aws.user_pools import CognitoUserPools, SecretsManagerClientStore
    from lifecycle.provisioning.seed_login import LoginSeeder

    return LoginSeeder(
        pools=CognitoUserPools(),
        secrets=SecretsManagerClientStore(settings().control_stack),
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
