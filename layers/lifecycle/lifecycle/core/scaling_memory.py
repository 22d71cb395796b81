"""Whether the memory of a broker holds the partitions that it is to have.

RocksDB has a part of the task's memory, and a broker with less than 32 MiB for each partition
refuses to start. 8.9 divides by the partitions of the cluster, so all of them are counted here: the
bound then holds at every number of brokers.

Sources: ``RocksDbSharedCache`` (https://github.com/camunda/camunda): strategy ``PARTITION`` takes
512 MB for each partition, ``FRACTION`` a part of the memory; the first is the default up to 8.9,
the second, of a tenth, from 8.10 on
(https://docs.camunda.io/docs/reference/announcements-release-notes/8100/8100-announcements/).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

LEAST_MIB: Final = 32
EACH_MIB: Final = 512
TENTH: Final = "0.1"
# Beside RocksDB there are the heap and the page cache: what Camunda advises at most.
_MOST_FOR_PARTITIONS: Final = Fraction(1, 2)


def does_not_fit(parameters: Mapping[str, str], partitions: int, *, fraction: bool) -> str:
    """Say why brokers cannot hold so many partitions; empty when they can.

    ``parameters`` are those of the cluster's stack; ``fraction`` tells whether a part of the memory
    is Camunda's default (8.10). A stack that sets ``RocksDbMemoryFraction`` has that on both.
    """
    memory = parameters.get("BrokerMemory", "")
    if not memory.isdecimal():
        return "the memory of its brokers is not known here"
    given = parameters.get("RocksDbMemoryFraction") or (TENTH if fraction else "")
    if given:
        part = int(memory) * Fraction(given)
        if part >= partitions * LEAST_MIB:
            return ""
        return (
            f"RocksDB has {given} of {memory} MiB, which holds {int(part) // LEAST_MIB} partitions "
            f"of {LEAST_MIB} MiB, not {partitions}"
        )
    if partitions * EACH_MIB <= int(memory) * _MOST_FOR_PARTITIONS:
        return ""
    return (
        f"RocksDB takes {EACH_MIB} MiB for each of {partitions} partitions, more than half of "
        f"{memory} MiB"
    )
