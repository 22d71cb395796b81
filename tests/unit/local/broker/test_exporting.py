"""Which records are exported next."""

from __future__ import annotations

import pytest

from local.broker.exporting import unexported

pytestmark = pytest.mark.unit


def test_records_that_stay_do_not_stop_those_behind_them() -> None:
    records = [{"position": number} for number in range(1, 1201)]
    position, exported = 0, []
    while fresh := unexported(records, position):
        exported += fresh
        position = fresh[-1]["position"]
    assert exported == records


def test_nothing_is_exported_twice() -> None:
    records = [{"position": number} for number in range(1, 4)]
    assert unexported(records, 2) == [{"position": 3}]
    assert unexported(records, 3) == []
