"""How many partitions a cluster has: a backup is restored only to its own number.

Camunda adds partitions and never removes one. Scaling does not change the stack, whose parameter is
that of the last plan or provisioning. So the brokers show the number, and where they do not answer,
the newest complete backup does: one that has fewer is of before partitions were added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.restore.history import last_complete

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.restore.facts import Checkpoint, DatabaseFound, Present


def partitions_now(
    cluster: Present,
    answered: int,
    newest: Sequence[Checkpoint],
    database: DatabaseFound,
) -> int:
    """Return how many partitions a cluster has; ``cluster`` has those of its stack.

    ``answered`` is what its brokers return, 0 where that is not known; ``newest`` are its newest
    backups until now.
    """
    if answered:
        return max(cluster.partitions, answered)
    last = last_complete(cluster, newest, database)
    return max(cluster.partitions, last.partitions if last is not None else 0)
