"""Which adapter stands behind which port: what clusters leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.common import journal, settings

if TYPE_CHECKING:
    from lifecycle.kept.copy_backups import BackupCopier
    from lifecycle.kept.read_kept import KeptReader
    from lifecycle.kept.ways_back import WaysBack

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def backup_copier() -> BackupCopier:
    """Copies of backups."""
    import time

    from lifecycle.adapters.aws.backup_buckets import S3BackupBuckets
    from lifecycle.kept.copy_backups import BackupCopier

    return BackupCopier(
        buckets=S3BackupBuckets(),
        journal=journal(),
        monotonic=time.monotonic,
        control_stack=settings().control_stack,
    )


def ways_back() -> WaysBack:
    """Whether a cluster could be made again."""
    from lifecycle.adapters.aws.backup_buckets import S3BackupBuckets
    from lifecycle.adapters.aws.kept_things import AwsKeptThings
    from lifecycle.kept.ways_back import WaysBack
    from lifecycle.observability import of_aws

    return WaysBack(
        things=AwsKeptThings(),
        buckets=S3BackupBuckets(),
        translate=of_aws,
        control_stack=settings().control_stack,
    )


def kept_reader() -> KeptReader:
    """What clusters without a stack have left behind."""
    from lifecycle.adapters.aws.cloudformation import CloudFormationStacks
    from lifecycle.kept.read_kept import KeptReader

    return KeptReader(
        ways=ways_back(),
        stacks=CloudFormationStacks(settings().deployment_role_arn),
        control_stack=settings().control_stack,
    )
