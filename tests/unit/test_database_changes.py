from __future__ import annotations

import pytest
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.preflight.database_change import Step, engine_step, interruptions

from local.aws.strict.engine_upgrades import refusal, targets

DEFAULTS = {name: str(d.get("default", "")) for name, d in cluster_parameters().items()}


def told(before: dict[str, str], after: dict[str, str]) -> str:
    return "\n".join(interruptions({**DEFAULTS, **before}, {**DEFAULTS, **after}))


@pytest.mark.parametrize(
    ("before", "after", "step"),
    [
        ("17.9", "17.9", Step.NONE),
        ("17.9", "17.10", Step.MINOR),
        ("17.9", "17.7", Step.BACK),
        ("17.9", "18.1", Step.MAJOR),
        ("16.13", "18.3", Step.MAJOR),
        ("18.1", "17.9", Step.BACK),
    ],
)
def test_versions_are_compared_as_numbers(before: str, after: str, step: Step) -> None:
    assert engine_step(before, after) is step


def test_nothing_is_told_where_nothing_changes_and_of_a_new_cluster() -> None:
    assert told({}, {}) == ""
    assert interruptions({}, DEFAULTS) == []


def test_a_minor_version_is_a_restart_without_a_way_back() -> None:
    words = told({"DatabaseEngineVersion": "17.7"}, {"DatabaseEngineVersion": "17.9"})
    assert "17.7 becomes 17.9" in words
    assert "no way back" in words
    assert "processes keep running" in words
    assert "major" not in words


def test_a_major_version_is_a_shutdown_and_what_to_do_before_and_after() -> None:
    words = told({"DatabaseEngineVersion": "17.9"}, {"DatabaseEngineVersion": "18.1"})
    for part in ("major version", "shut down", "snapshot", "clone", "ANALYZE", "10 to 60 minutes"):
        assert part in words


def test_a_class_changes_in_all_instances_that_stay() -> None:
    larger = {"DatabaseInstanceClass": "db.r8g.large"}
    assert "no reader to take over" in told({}, larger)
    words = told({"DatabaseInstances": "3"}, {**larger, "DatabaseInstances": "2"})
    assert "all 2 instances restart" in words
    assert "do not count on a reader" in words
    assert "loses 1 of 3" in words


def test_readers_that_come_interrupt_nothing_and_those_that_go_may() -> None:
    more = told({}, {"DatabaseInstances": "3"})
    assert "2 more readers" in more
    assert "searches and the web applications" not in more
    less = told({"DatabaseInstances": "3"}, {"DatabaseInstances": "1"})
    assert "promoted" in less
    assert "one instance left" in less
    assert "one instance left" not in told({"DatabaseInstances": "3"}, {"DatabaseInstances": "2"})


def test_the_local_rds_upgrades_forwards_only() -> None:
    known = ["16.9", "17.7", "17.9", "18.3"]
    assert targets("17.7", known) == ["17.9", "18.3"]
    assert not refusal("17.7", "18.3", known)
    assert not refusal("17.7", "17.7", known)
    assert "Cannot upgrade" in refusal("17.9", "17.7", known)
    assert "Cannot upgrade" in refusal("17.9", "17.8", known)
