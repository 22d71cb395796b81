"""How long the machines wait before they end with what is true: seconds that people rely on."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from lifecycle.cluster.polling import Wait
from lifecycle.health import rules as health_rules
from lifecycle.operation.model import FUNCTION_SECONDS, LOCK_SECONDS
from lifecycle.provisioning import start_services
from lifecycle.rotation import decisions as rotation
from lifecycle.scaling import decision as scaling
from lifecycle.scaling import partitions as scaling_partitions
from lifecycle.services import rolling
from lifecycle.teardown import decisions as teardown

MINUTE = 60


@pytest.mark.parametrize(
    ("seconds", "documented"),
    [
        (start_services.START_SECONDS, 30 * MINUTE),
        (rolling.BROKER_PATIENCE, 30 * MINUTE),
        (teardown.STOP_SECONDS, 30 * MINUTE),
        (rotation.PATIENCE, 5 * MINUTE),
        (scaling.TASKS_PATIENCE, 10 * MINUTE),
        (scaling.CHANGE_PATIENCE, 15 * MINUTE),
        (scaling.SETTLE_PATIENCE, 15 * MINUTE),
        (scaling_partitions.BACKUP_PATIENCE, 15 * MINUTE),
        # What may only look wrong: a replica between two roles, gossip that is late, an answer
        # that was lost.
        (scaling.HEALTH_PATIENCE, 5 * MINUTE),
        (scaling.FRESH_PATIENCE, 2 * MINUTE),
        (scaling.ANSWER_PATIENCE, MINUTE),
        (scaling.GOSSIP_PATIENCE, 20),
        # A lock outlives every function of its owner.
        (LOCK_SECONDS, 15 * MINUTE),
        (FUNCTION_SECONDS, 110),
    ],
)
def test_each_wait_has_its_length(seconds: int, documented: int) -> None:
    assert seconds == documented


@pytest.mark.parametrize(
    ("time", "documented"),
    [
        (health_rules.GRACE, timedelta(minutes=15)),
        (health_rules.LOSSES, timedelta(hours=2)),
        (health_rules.LASTS, timedelta(minutes=1)),
        (health_rules.DEPLOYMENT, timedelta(minutes=30)),
        (health_rules.STOPS, timedelta(minutes=30)),
        (health_rules.CHANGE, timedelta(minutes=30)),
        (health_rules.EXPORT, timedelta(minutes=10)),
        (health_rules.BACKUP, timedelta(hours=3)),
        (health_rules.LEASE, timedelta(seconds=30)),
    ],
)
def test_each_finding_has_its_time(time: timedelta, documented: timedelta) -> None:
    assert time == documented


def test_a_roll_looks_again_at_once_after_an_action_and_less_often_while_it_waits() -> None:
    waited = rolling.seconds_to_wait
    assert waited(waits=False, whole=0, looks=0) == 1
    assert waited(waits=False, whole=2, looks=9) == 1
    few = waited(waits=True, whole=1, looks=0)
    assert 1 < few <= waited(waits=True, whole=0, looks=3) == waited(waits=True, whole=0, looks=9)


def test_a_wait_starts_anew_when_its_mark_changes_and_counts_looks_otherwise() -> None:
    first = Wait.at("a", 100, None)
    assert first == Wait("a", since=100, looks=1)
    second = Wait.at("a", 160, first)
    assert second == Wait("a", since=100, looks=2)
    assert Wait.at("b", 160, second) == Wait("b", since=160, looks=1)


def test_a_wait_has_lasted_from_its_last_second_on() -> None:
    wait = Wait("a", since=100)
    assert not wait.lasted(60, now=159)
    assert wait.lasted(60, now=160)


def test_a_wait_is_carried_through_json() -> None:
    wait = Wait("a", since=100, looks=3)
    assert Wait.read(json.loads(json.dumps(wait.as_state()))) == wait
    assert Wait.read(None) is None
    assert Wait.read({}) is None
