"""How long the machines wait before they end with what is true: seconds that people rely on."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lifecycle.cluster import former_data
from lifecycle.cluster.polling import LONGEST, LONGEST_BETWEEN_LOOKS, Wait
from lifecycle.health import rules as health_rules
from lifecycle.manage import decisions as manage
from lifecycle.operation.model import FUNCTION_SECONDS, LOCK_SECONDS
from lifecycle.provisioning import start_services
from lifecycle.restore import decisions as restore
from lifecycle.rotation import decisions as rotation
from lifecycle.scaling import decision as scaling
from lifecycle.scaling import partitions as scaling_partitions
from lifecycle.services import rolling
from lifecycle.teardown import decisions as teardown
from lifecycle.verification.process_instances import WAIT_SECONDS

from tools.generate_parameters import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MINUTE = 60


@pytest.mark.parametrize(
    ("seconds", "documented"),
    [
        (start_services.START_SECONDS, 30 * MINUTE),
        (rolling.BROKER_PATIENCE, 30 * MINUTE),
        (teardown.STOP_SECONDS, 30 * MINUTE),
        (rotation.PATIENCE, 5 * MINUTE),
        (former_data.FORMER_PATIENCE, 180 * MINUTE),
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
        # A pause ends every wait, however long it is.
        (LONGEST_BETWEEN_LOOKS, 5 * MINUTE),
        # A lock outlives every function of its owner.
        (manage.PATIENCE, 3 * MINUTE),
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
        (manage.OVERDUE, timedelta(minutes=5)),
        (health_rules.LOSSES, timedelta(hours=2)),
        (health_rules.LASTS, timedelta(minutes=1)),
        (health_rules.DEPLOYMENT, timedelta(minutes=30)),
        (health_rules.STOPS, timedelta(minutes=30)),
        (health_rules.CHANGE, timedelta(minutes=30)),
        (health_rules.EXPORT, timedelta(minutes=10)),
        (health_rules.CLEANUP, timedelta(hours=1)),
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
    assert first == Wait("a", since=100, looks=1, seen=100)
    second = Wait.at("a", 160, first)
    assert second == Wait("a", since=100, looks=2, seen=160)
    assert Wait.at("b", 160, second) == Wait("b", since=160, looks=1, seen=160)


def test_a_wait_starts_anew_after_a_pause_and_where_the_last_look_is_not_known() -> None:
    """A redrive keeps the variables: what was waited for before the stop says nothing of now."""
    before = Wait("a", since=100, looks=9, seen=400)
    longest = 400 + LONGEST_BETWEEN_LOOKS
    assert Wait.at("a", longest, before) == Wait("a", since=100, looks=10, seen=longest)
    anew = Wait.at("a", longest + 1, before)
    assert anew == Wait("a", since=longest + 1, looks=1, seen=longest + 1)
    assert not anew.lasted(1, now=longest + 1)
    kept = {"mark": "a", "since": 100, "looks": 9}
    assert Wait.at("a", 4000, Wait.read(kept)) == Wait("a", since=4000, looks=1, seen=4000)


# What waits after these has not been waiting before: each begins with an empty memory.
BEGINNING = {
    *("PlanStack", "ExecuteChangeSet", "StartServices", "StopServices"),
    *("SetPassword", "CopyBackups", "RestoreBrokers"),
}


def between_waits(
    states: dict[str, Any], name: str, passed: frozenset[str] = frozenset()
) -> Iterator[int]:
    """Yield the seconds that the tasks on each way from a state to a next wait may take."""
    state = states[name]
    if state["Type"] == "Wait":
        yield 0
    elif (
        name not in passed
        and not (passed and name in BEGINNING)
        and not (name == "RollServices" and "EnsureBackup" in passed)
    ):
        ways = [state, *state.get("Choices", ())]
        for following in {way[key] for way in ways for key in ("Next", "Default") if key in way}:
            for seconds in between_waits(states, following, passed | {name}):
                yield state.get("TimeoutSeconds", 0) + seconds


@pytest.mark.parametrize(
    "machine",
    [
        "provision",
        "restart",
        "rotate",
        "manage",
        "backup",
        "restore",
        "scale",
        "teardown",
        "plan",
        "rehearse",
    ],
)
def test_no_wait_between_two_looks_is_taken_for_a_pause(machine: str) -> None:
    path = ROOT / "statemachines" / f"{machine}.asl.yaml"
    states = yaml.safe_load(path.read_text())["States"]
    waits = [state for state in states.values() if state["Type"] == "Wait"]
    assert waits
    longest = max(LONGEST, WAIT_SECONDS, scaling.next_look(99))
    for state in waits:
        assert state["Seconds"] == "{% $wait %}"
        functions = max(between_waits(states, state["Next"]))
        assert functions > 0
        assert longest + functions < LONGEST_BETWEEN_LOOKS


def test_the_parts_of_a_restore_end_before_the_whole_machine_does() -> None:
    """What a part reports names the next step; an execution that times out reports nothing."""
    path = ROOT / "statemachines" / "restore.asl.yaml"
    limit = yaml.safe_load(path.read_text())["TimeoutSeconds"]
    rest = limit - restore.DATABASE_PATIENCE - restore.TASKS_PATIENCE
    # CloudFormation creates a database from the snapshot; brokers stop, start and are verified.
    assert rest >= 3 * 60 * MINUTE


def test_a_rehearsal_outlasts_the_operations_that_it_waits_for() -> None:
    """A backup, a restore and a teardown, one after the other."""
    limits = {
        name: yaml.safe_load((ROOT / "statemachines" / f"{name}.asl.yaml").read_text())
        for name in ("rehearse", "restore")
    }
    assert limits["rehearse"]["TimeoutSeconds"] >= limits["restore"]["TimeoutSeconds"] + 4 * 3600


@pytest.mark.parametrize("path", sorted((ROOT / "statemachines").glob("*.asl.yaml")), ids=str)
def test_no_execution_reaches_the_limit_of_its_history(path: Path) -> None:
    """25,000 events end an execution (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).

    A wait writes two events when it is entered and left, a task five, a choice two; a machine that
    waits looks every ``LONGEST`` seconds once it has looked a few times.
    """
    limit = yaml.safe_load(path.read_text())["TimeoutSeconds"]
    assert limit / LONGEST * 9 < 25_000 * 0.9


def test_a_wait_has_lasted_from_its_last_second_on() -> None:
    wait = Wait("a", since=100)
    assert not wait.lasted(60, now=159)
    assert wait.lasted(60, now=160)


def test_a_wait_is_carried_through_json() -> None:
    wait = Wait("a", since=100, looks=3, seen=130)
    assert Wait.read(json.loads(json.dumps(wait.as_state()))) == wait
    assert Wait.read(None) is None
    assert Wait.read({}) is None
