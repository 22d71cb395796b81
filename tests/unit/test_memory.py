from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.cluster.broker_memory import least_memory, most_partitions, too_little

FRACTIONS = st.integers(1, 50).map(lambda hundredths: f"{hundredths / 100:.2f}")


@pytest.mark.parametrize(
    ("memory", "fraction", "most"),
    [(8192, "0.1", 25), (4096, "0.1", 12), (2048, "0.1", 6), (8192, "0.5", 128), (2048, "0.01", 0)],
)
def test_partitions_that_a_broker_holds(memory: int, fraction: str, most: int) -> None:
    assert most_partitions(memory, fraction) == most
    assert too_little(most, memory, fraction) == ""
    assert f"holds {most} partitions" in too_little(most + 1, memory, fraction)


@given(partitions=st.integers(1, 200), fraction=FRACTIONS)
def test_the_least_memory_is_enough_and_less_is_not(partitions: int, fraction: str) -> None:
    least = least_memory(partitions, fraction)
    assert too_little(partitions, least, fraction) == ""
    assert too_little(partitions, least - 1, fraction)
