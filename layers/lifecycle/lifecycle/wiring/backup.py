"""Which adapter stands behind which port: backups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.common import journal, probe, settings
from lifecycle.wiring.former_data import former_data

if TYPE_CHECKING:
    from lifecycle.backup.change import BackupChanger
    from lifecycle.backup.delete import BackupDeleter
    from lifecycle.backup.former import FormerDataDeleter, FormerDataPlanner
    from lifecycle.backup.probe import BackupProber
    from lifecycle.backup.take import BackupTaker

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def backup_taker() -> BackupTaker:
    """Backups of a cluster, by an operation."""
    import os

    from lifecycle.adapters.aws.lambda_probe import LambdaProbe
    from lifecycle.adapters.aws.rds import RdsBackups
    from lifecycle.backup.take import BackupTaker

    return BackupTaker(
        probe=probe(),
        databases=RdsBackups(),
        changes=LambdaProbe(os.environ["CHANGING_FUNCTION"]),
        journal=journal(),
        control_stack=settings().control_stack,
    )


def backup_deleter() -> BackupDeleter:
    """Deletion of backups, by an operation."""
    import os

    from lifecycle.adapters.aws.lambda_probe import LambdaProbe
    from lifecycle.adapters.aws.rds import RdsBackups
    from lifecycle.backup.delete import BackupDeleter

    return BackupDeleter(
        probe=probe(),
        databases=RdsBackups(),
        changes=LambdaProbe(os.environ["CHANGING_FUNCTION"]),
        journal=journal(),
        control_stack=settings().control_stack,
    )


def former_data_planner() -> FormerDataPlanner:
    """What restores have replaced, and would be deleted."""
    from lifecycle.adapters.aws.backup_sizes import CloudWatchBackupSizes
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.rds import RdsBackups
    from lifecycle.backup.former import FormerDataPlanner

    return FormerDataPlanner(
        former=former_data(),
        databases=RdsBackups(),
        sizes=CloudWatchBackupSizes(),
        records=DynamoTable(settings().table_name),
        control_stack=settings().control_stack,
    )


def former_data_deleter() -> FormerDataDeleter:
    """Deletion of what restores have replaced, by an operation."""
    from lifecycle.adapters.aws.retained_data import AwsStorage
    from lifecycle.backup.former import FormerDataDeleter

    return FormerDataDeleter(former=former_data(), storage=AwsStorage(), journal=journal())


def backup_changer() -> BackupChanger:
    """Backups of the brokers; only inside the VPC."""
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.backup.change import BackupChanger

    return BackupChanger(management=HttpManagement, journal=journal())


def backup_prober() -> BackupProber:
    """The query about backups, inside the VPC."""
    import os

    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.backup.probe import BackupProber

    networks = (os.environ["VPC_CIDR"],)
    return BackupProber(management=lambda name: HttpManagement(name, networks=networks))
