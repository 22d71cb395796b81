from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from lifecycle.camunda.partitions import read_settled_backup
from lifecycle.cluster.backups import expectation, minutes, overdue, restore_minutes
from lifecycle.cluster.parameters import cluster_parameters


@pytest.mark.parametrize(
    ("schedule", "expected"), [("PT5M", 6), ("PT10M", 8), ("PT15M", 9), ("PT1H", 25), ("PT2H", 45)]
)
def test_a_restore_takes_longer_the_rarer_the_backups(schedule: str, expected: int) -> None:
    assert restore_minutes(schedule) == expected


@pytest.mark.parametrize("name", ["BackupSchedule", "BackupCheckpointInterval"])
def test_every_duration_that_the_template_takes_is_read_and_they_grow(name: str) -> None:
    allowed = cluster_parameters()[name]["allowedValues"]
    assert isinstance(allowed, list)
    read = [minutes(one) for one in allowed]
    assert read == sorted(read)


@pytest.mark.parametrize("text", ["P1D", "15m", "PT0M", ""])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        minutes(text)


def test_the_expectation_names_how_far_back_and_how_long() -> None:
    told = expectation("true", "PT15M", "PT5M", "7")
    assert "7 days" in told
    assert "every 5 minutes" in told
    assert "about 9 minutes" in told
    assert expectation("false", "PT15M", "PT5M", "7").startswith("No broker data")


def test_the_numbers_of_the_documents_are_those_of_the_formula() -> None:
    root = Path(__file__).resolve().parents[2]
    plans = (root / "docs" / "plans.md").read_text()
    hour, quarter, five = map(restore_minutes, ("PT1H", "PT15M", "PT5M"))
    assert f"{hour} minutes with a backup every hour, {quarter} with one every" in plans
    assert f"and {five} with one every 5" in plans
    described = str(cluster_parameters()["BackupSchedule"]["description"])
    assert f"about {hour} minutes of work with PT1H and {quarter} with PT15M" in described


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [("PT5M", 1), ("PT15M", 1), ("PT20M", 1), ("PT30M", 1.5), ("PT1H", 3), ("", 3), ("none", 3)],
)
def test_a_backup_is_old_after_three_intervals_and_never_within_the_hour(
    schedule: str, hours: float
) -> None:
    assert overdue(schedule) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("begun", "ended", "settled"),
    [
        ({1: 7, 2: 7}, {1: 7, 2: 7}, 7),
        ({1: 8, 2: 8}, {1: 8, 2: 7}, 7),
        ({1: 7, 2: 7}, {1: 7}, 0),
        ({1: 7}, {}, 0),
        ({}, {}, 0),
    ],
)
def test_a_backup_is_settled_once_every_partition_has_ended_it(
    begun: dict[int, int], ended: dict[int, int], settled: int
) -> None:
    def parts(ids: dict[int, int]) -> list[dict[str, int]]:
        return [{"partitionId": one, "checkpointId": at} for one, at in ids.items()]

    answer = {"checkpointStates": parts(begun), "backupStates": parts(ended)}
    assert read_settled_backup(answer) == settled
