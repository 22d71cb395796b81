"""What a restore knows of a cluster by its stack."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from lifecycle.restore.facts import Present
from lifecycle.services.images import versions

if TYPE_CHECKING:
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.stack import Stack


def present_of(stack: Stack) -> Present:
    """Return the cluster as its stack has it. Raises ``StackNotUsable``."""
    outputs = stack.outputs
    return Present(
        stack=stack.name,
        partitions=outputs.partitions,
        version=versions(stack.parameters).brokers,
        generation=int(outputs.get("DataGeneration", "1")),
        snapshot=outputs.get("DatabaseSnapshot", ""),
        database=outputs.database,
        restored=outputs.get("RestoredBackup", ""),
        since=created(stack),
    )


def created(stack: Stack) -> datetime | None:
    """Return when a stack was created; None where CloudFormation does not show it."""
    return datetime.fromisoformat(stack.created_at) if stack.created_at else None


def is_continuous(outputs: ClusterOutputs) -> bool:
    """Return whether the brokers back up continuously."""
    return outputs.get("ContinuousBackup", "true") == "true"
