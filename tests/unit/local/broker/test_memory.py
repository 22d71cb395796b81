"""What RocksDB takes, by the rules of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.broker.memory import NotEnoughMemory, check, exceeds
from local.broker.settings import Settings

pytestmark = pytest.mark.unit

PREFIX = "CAMUNDA_DATA_PRIMARYSTORAGE_ROCKSDB_"


def settings(version: str, memory: int, partitions: int, **environment: str) -> Settings:
    return Settings(
        version=version,
        address="127.0.0.1",
        memory_mib=memory,
        data=Path("data"),
        cluster_size=3,
        partitions=partitions,
        replication_factor=3,
        contact_points=(),
        lease_bucket="leases",
        lease_seconds=15,
        environment=environment,
    )


@pytest.mark.parametrize(("partitions", "expected"), [(3, False), (12, False), (13, True)])
def test_8_9_takes_512_mb_for_every_partition(partitions: int, *, expected: bool) -> None:
    assert exceeds(settings("8.9.16", 8192, partitions)) is expected


@pytest.mark.parametrize(("partitions", "refused"), [(3, False), (25, False), (26, True)])
def test_8_10_shares_a_tenth_and_refuses_less_than_32_mib(
    partitions: int, *, refused: bool
) -> None:
    given = settings("8.10.0", 8192, partitions)
    assert not exceeds(given)
    if refused:
        with pytest.raises(NotEnoughMemory, match="at least 33554432 bytes"):
            check(given)
    else:
        check(given)


def test_a_strategy_that_is_given_holds_on_both() -> None:
    fraction = {f"{PREFIX}MEMORYALLOCATIONSTRATEGY": "FRACTION", f"{PREFIX}MEMORYFRACTION": "0.3"}
    for version in ("8.9.16", "8.10.0"):
        check(settings(version, 8192, 50, **fraction))
        assert not exceeds(settings(version, 8192, 50, **fraction))
    broker = {f"{PREFIX}MEMORYALLOCATIONSTRATEGY": "BROKER", f"{PREFIX}MEMORYLIMIT": "7GB"}
    assert exceeds(settings("8.9.16", 8192, 3, **broker))


def test_a_fraction_beyond_one_is_refused() -> None:
    beyond = {f"{PREFIX}MEMORYALLOCATIONSTRATEGY": "FRACTION", f"{PREFIX}MEMORYFRACTION": "1.5"}
    with pytest.raises(NotEnoughMemory, match="between 0 and 1"):
        check(settings("8.9.16", 8192, 3, **beyond))
