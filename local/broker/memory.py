"""What RocksDB and the heap take of a task's memory, by the rules of 8.9 and 8.10.

`RocksDbSharedCache` (camunda/camunda): strategy PARTITION takes the limit for each partition of the
cluster, BROKER the limit once, FRACTION a share of the memory; less than 32 MiB a partition is
refused at the start. Defaults: PARTITION with 512 MB on 8.9, FRACTION with 0.1 on 8.10 (release
announcements of 8.10). The JVM takes a quarter of the memory as heap. What exceeds the memory of
the task ends in exit code 137; a real broker reaches that as its caches fill, this one at once.
"""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.broker.settings import Settings

_LEAST = 32 * 2**20
_HEAP_SHARE = 0.25
_PREFIX = "CAMUNDA_DATA_PRIMARYSTORAGE_ROCKSDB_"
_SIZE = re.compile(r"(\d+)\s*(KB|MB|GB|B)?", re.I)
_UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}


class NotEnoughMemory(Exception):
    """The broker refuses to start with the memory that it has."""


def check(settings: Settings) -> None:
    """Raise NotEnoughMemory where Camunda refuses to start."""
    if not settings.memory_mib:
        return
    each = _rocksdb_bytes(settings) // settings.partitions
    if each < _LEAST:
        raise NotEnoughMemory(
            "Expected the allocated memory for RocksDB per partition to be at least "
            f"{_LEAST} bytes, but was {each} bytes."
        )


def die_if_exceeded(settings: Settings) -> None:
    """Be killed, as the kernel kills a container that takes more than its task has."""
    if exceeds(settings):
        os.kill(os.getpid(), signal.SIGKILL)


def exceeds(settings: Settings) -> bool:
    """Whether RocksDB and the heap together take more than the task has."""
    total = settings.memory_mib * 2**20
    return bool(total) and _rocksdb_bytes(settings) + total * _HEAP_SHARE > total


def _rocksdb_bytes(settings: Settings) -> int:
    newer = settings.dialect == "8.10"
    given = settings.environment.get
    strategy = given(f"{_PREFIX}MEMORYALLOCATIONSTRATEGY", "FRACTION" if newer else "PARTITION")
    limit = _bytes(given(f"{_PREFIX}MEMORYLIMIT", "512MB"))
    match strategy.upper():
        case "FRACTION":
            fraction = float(given(f"{_PREFIX}MEMORYFRACTION", "0.1"))
            if not 0 < fraction < 1:
                raise NotEnoughMemory(
                    "Expected the memoryFraction for RocksDB FRACTION memory allocation strategy "
                    f"to be between 0 and 1, but was {fraction}."
                )
            return round(settings.memory_mib * 2**20 * fraction)
        case "BROKER":
            return limit
        case _:
            return limit * settings.partitions


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise NotEnoughMemory(f"{_PREFIX}MEMORYLIMIT={text} is not a size")
    return int(found[1]) * _UNITS[(found[2] or "B").upper()]
