"""Whether the memory of a broker holds the partitions that it is to have.

A stack of ours gives RocksDB a part of the memory on every version (``cluster/broker_memory.py``);
what an adopted cluster gives it is not in its stack, so that Camunda's default counts.

Sources: ``RocksDbSharedCache`` (https://github.com/camunda/camunda): strategy ``PARTITION`` takes
512 MB for each partition, ``FRACTION`` a part of the memory; the first is the default up to 8.9,
the second, of a tenth, from 8.10 on
(https://docs.camunda.io/docs/reference/announcements-release-notes/8100/8100-announcements/).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.broker_memory import FRACTION, of_task, too_little

if TYPE_CHECKING:
    from collections.abc import Mapping

EACH_MIB: Final = 512
# Beside RocksDB there are the heap and the page cache: what Camunda advises at most.
_MOST_FOR_PARTITIONS: Final = Fraction(1, 2)


def does_not_fit(parameters: Mapping[str, str], partitions: int, *, fraction: bool) -> str:
    """Return why brokers cannot hold so many partitions; empty when they can.

    ``parameters`` are those of the cluster's stack; ``fraction`` shows whether a part of the memory
    is Camunda's default (8.10). A stack that sets ``RocksDbMemoryFraction`` has that on both.
    """
    memory = parameters.get("BrokerMemory", "")
    if not memory.isdecimal():
        return "the memory of its brokers is unknown"
    mib = int(memory) - of_task(parameters)
    given = parameters.get("RocksDbMemoryFraction") or (FRACTION if fraction else "")
    if given:
        return too_little(partitions, mib, given)
    if partitions * EACH_MIB <= mib * _MOST_FOR_PARTITIONS:
        return ""
    return (
        f"RocksDB takes {EACH_MIB} MiB for each of {partitions} partitions, more than half of "
        f"{mib} MiB"
    )
