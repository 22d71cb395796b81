"""Whether a broker's memory holds its partitions.

RocksDB gets a fraction of the memory of the container, shared by all partitions: that of the task,
or what a collector of metrics beside the broker leaves of it; a broker with less than
32 MiB for each refuses to start, on every version, so also right after a version step. 8.9 counts
the partitions of the cluster (``CAMUNDA_CLUSTER_PARTITIONCOUNT``), the newest source those that the
broker holds. The cluster's are counted here: that bound holds on both, and at every number of
brokers to which a cluster may be scaled.

Source: ``RocksDbSharedCache`` in https://github.com/camunda/camunda and
https://docs.camunda.io/docs/next/components/best-practices/architecture/sizing-self-managed
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_MIB: Final = 32
FRACTION: Final = "0.1"
"""What clusters have whose stack is older than the parameter."""


WORKSPACE: Final = "PrometheusWorkspaceArn"
"""With this parameter, a collector of metrics has a part of the memory of each broker's task."""
COLLECTOR_MIB: Final = 256


def of_task(parameters: Mapping[str, str]) -> int:
    """Memory in MiB of a broker's task that the broker itself does not have."""
    return COLLECTOR_MIB if parameters.get(WORKSPACE) else 0


def rocksdb_mib(memory_mib: int, fraction: str) -> int:
    """Return the whole MiB that RocksDB gets of a broker's memory (MiB); ``fraction`` as "0.1"."""
    return math.floor(memory_mib * Fraction(fraction))


def most_partitions(memory_mib: int, fraction: str) -> int:
    """How many partitions the memory of a broker holds."""
    return rocksdb_mib(memory_mib, fraction) // LEAST_MIB


def least_memory(partitions: int, fraction: str) -> int:
    """Memory in MiB that a broker needs for RocksDB to hold the partitions."""
    return math.ceil(partitions * LEAST_MIB / Fraction(fraction))


def too_little(partitions: int, memory_mib: int, fraction: str) -> str:
    """Why a broker of this memory refuses to start; empty when it holds the partitions."""
    if partitions <= most_partitions(memory_mib, fraction):
        return ""
    return (
        f"RocksDB gets {fraction} of {memory_mib} MiB, which holds "
        f"{most_partitions(memory_mib, fraction)} partitions of {LEAST_MIB} MiB, not {partitions}"
    )
