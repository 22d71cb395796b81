"""Which backups the retention deletes."""

from __future__ import annotations

from typing import Any

import pytest

from local.broker.backups import expired

pytestmark = pytest.mark.unit


def backup(minute: int, state: str = "COMPLETED", partitions: int = 2) -> list[dict[str, Any]]:
    return [
        {
            "partitionId": one,
            "state": state,
            "createdAt": f"2026-11-28T07:{minute:02d}:00Z",
            "partitionCount": partitions,
            "checkpointType": "MANUAL_BACKUP",
        }
        for one in range(1, partitions + 1)
    ]


def test_the_window_is_counted_from_the_newest_complete_one() -> None:
    found = {1: backup(1), 10: backup(10), 20: backup(20), 30: backup(30, "IN_PROGRESS")}
    assert expired(found, 600) == [1]
    assert expired(found, 540) == [1, 10]


def test_one_complete_backup_stays_however_old() -> None:
    assert expired({1: backup(1)}, 0) == []
    assert expired({1: backup(1), 9: backup(9, "IN_PROGRESS"), 59: backup(59, "FAILED")}, 0) == []


def test_without_a_complete_one_nothing_is_deleted() -> None:
    assert expired({}, 0) == []
    assert expired({1: backup(1)[:1], 9: backup(9, "FAILED")}, 0) == []
