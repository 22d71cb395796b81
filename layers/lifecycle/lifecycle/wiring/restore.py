"""Which adapter stands behind which port: restores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.common import SystemClock, journal, probe, registries, settings, stacks

if TYPE_CHECKING:
    from lifecycle.restore.copy_users import UserCopier
    from lifecycle.restore.new_cluster import NewClusterValidator
    from lifecycle.restore.restore_brokers import BrokerRestorer
    from lifecycle.restore.restore_database import DatabaseRestorer
    from lifecycle.restore.validate_restore import RestoreValidator

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def restore_validator() -> RestoreValidator:
    """Validation and plan of a restore."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.kept_things import AwsKeptThings
    from lifecycle.adapters.aws.restored_databases import RdsRestoredDatabases
    from lifecycle.adapters.aws.s3 import S3NodeIdLeases
    from lifecycle.adapters.aws.stored_backups import S3StoredBackups
    from lifecycle.restore.counts import ProbedCounts
    from lifecycle.restore.ranges import ProbedRanges
    from lifecycle.restore.validate_restore import RestoreValidator

    return RestoreValidator(
        stacks=stacks(),
        services=EcsServices(),
        leases=S3NodeIdLeases(),
        databases=RdsRestoredDatabases(settings().control_stack),
        backups=S3StoredBackups(),
        ranges=ProbedRanges(probe),
        counts=ProbedCounts(probe),
        past=DynamoTable(settings().table_name),
        things=AwsKeptThings(),
        clock=SystemClock(),
        control_stack=settings().control_stack,
        new_clusters=_new_cluster_validator,
    )


def _new_cluster_validator() -> NewClusterValidator:
    """Validation and plan of a new cluster that is made of another one's backups."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.kept_things import AwsKeptThings
    from lifecycle.adapters.aws.restored_databases import RdsRestoredDatabases
    from lifecycle.adapters.aws.s3 import S3NodeIdLeases
    from lifecycle.adapters.aws.stored_backups import S3StoredBackups
    from lifecycle.cluster.parameters import cluster_parameters
    from lifecycle.restore.new_cluster import NewClusterValidator
    from lifecycle.restore.ranges import ProbedRanges
    from lifecycle.restore.source import Sources

    return NewClusterValidator(
        stacks=stacks(),
        services=EcsServices(),
        databases=RdsRestoredDatabases(settings().control_stack),
        past=DynamoTable(settings().table_name),
        sources=Sources(
            stacks=stacks(),
            services=EcsServices(),
            leases=S3NodeIdLeases(),
            backups=S3StoredBackups(),
            ranges=ProbedRanges(probe),
            things=AwsKeptThings(),
            control_stack=settings().control_stack,
        ),
        declarations=cluster_parameters(),
        registries=registries,
        clock=SystemClock(),
        control_stack=settings().control_stack,
    )


def database_restorer() -> DatabaseRestorer:
    """Restore of the database, beside the present one."""
    from lifecycle.adapters.aws.restored_databases import RdsRestoredDatabases
    from lifecycle.adapters.aws.secrets import SecretsManagerUsers
    from lifecycle.cluster.owned_secrets import Purpose
    from lifecycle.restore.restore_database import DatabaseRestorer

    return DatabaseRestorer(
        databases=RdsRestoredDatabases(settings().control_stack),
        users=SecretsManagerUsers(settings().control_stack, Purpose.DATABASE_ADMIN),
        journal=journal(),
        control_stack=settings().control_stack,
    )


def user_copier() -> UserCopier:
    """Passwords of the users of another cluster."""
    from lifecycle.adapters.aws.user_secrets import SecretsManagerUserSecrets
    from lifecycle.restore.copy_users import UserCopier

    return UserCopier(
        secrets=SecretsManagerUserSecrets(settings().control_stack),
        journal=journal(),
        control_stack=settings().control_stack,
    )


def broker_restorer() -> BrokerRestorer:
    """Stop of what runs, and restore of all brokers."""
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.restore_tasks import EcsRestoreTasks
    from lifecycle.adapters.aws.s3 import S3NodeIdLeases
    from lifecycle.restore.restore_brokers import BrokerRestorer

    return BrokerRestorer(
        services=EcsServices(),
        tasks=EcsRestoreTasks(),
        leases=S3NodeIdLeases(),
        journal=journal(),
        control_stack=settings().control_stack,
    )
