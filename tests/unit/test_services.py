from __future__ import annotations

from dataclasses import replace

import pytest
from lifecycle.cluster.polling import LONGEST, SHORTEST, next_wait
from lifecycle.services.definition import minimum_healthy_percent
from lifecycle.services.startup import (
    Deployment,
    Service,
    StartState,
    decide_start,
    missing,
    must_start,
)
from lifecycle.services.stops import StoppedTask

COMPLETED = Deployment("d", "PRIMARY", "COMPLETED", "", 0)
SERVICE = Service("brokers", "ACTIVE", desired=3, running=3, pending=0, deployments=(COMPLETED,))


def stopped(number: int, code: str = "EssentialContainerExited") -> StoppedTask:
    return StoppedTask(
        f"task-{number}",
        f"2026-01-01T00:00:0{number}+00:00",
        code,
        "Essential container in task exited",
        ("broker, exit code 1",),
    )


def test_all_run_and_all_formed_is_started() -> None:
    assert decide_start(SERVICE, [], "").state is StartState.STARTED


def test_running_tasks_are_not_enough() -> None:
    decision = decide_start(SERVICE, [], "partition 2 has no leader")
    assert decision.state is StartState.WAITING
    assert "partition 2 has no leader" in decision.reason


def test_a_placement_problem_is_told_while_waiting() -> None:
    service = replace(
        SERVICE, running=1, events=("(service brokers) was unable to place a task because …",)
    )
    decision = decide_start(service, [], "")
    assert decision.state is StartState.WAITING
    assert "1 of 3" in decision.reason
    assert "unable to place" in decision.reason


def test_one_task_that_dies_is_replaced_and_only_told() -> None:
    decision = decide_start(replace(SERVICE, running=2), [stopped(1)], "")
    assert decision.state is StartState.WAITING
    assert "task-1" in decision.reason


def test_repeated_stops_end_the_wait_with_the_last_reason() -> None:
    down = replace(SERVICE, running=0)
    stops = [stopped(n) for n in (2, 3, 1, 5, 4, 6, 8, 7)]
    assert decide_start(down, stops, "no broker").state is StartState.WAITING
    decision = decide_start(down, [*stops, stopped(9)], "no broker")
    assert decision.state is StartState.FAILED
    assert "task-9" in decision.reason
    assert "exit code 1" in decision.reason


def test_kills_by_health_checks_end_no_start_however_many_but_are_told() -> None:
    reason = "Task failed container health checks"
    killed = [replace(stopped(n, "ServiceSchedulerInitiated"), reason=reason) for n in range(9)]
    decision = decide_start(replace(SERVICE, running=2), killed, "")
    assert decision.state is StartState.WAITING
    assert "it failed its health checks" in decision.reason


def test_tasks_that_ecs_stopped_by_itself_are_no_failures() -> None:
    stops = [stopped(n, "ServiceSchedulerInitiated") for n in (1, 2, 3, 4)]
    assert decide_start(SERVICE, stops, "").state is StartState.STARTED


def test_a_tripped_circuit_breaker_ends_the_wait_with_its_reason() -> None:
    tripped = Deployment("d", "PRIMARY", "FAILED", "tasks failed to start.", 3)
    decision = decide_start(replace(SERVICE, running=0, deployments=(tripped,)), [], "")
    assert decision.state is StartState.FAILED
    assert "tasks failed to start" in decision.reason


def test_a_service_that_is_being_deleted_does_not_start() -> None:
    assert decide_start(replace(SERVICE, status="DRAINING"), [], "").state is StartState.FAILED


def test_a_service_that_is_not_there_is_waited_for() -> None:
    decision = decide_start(missing("brokers"), [], "")
    assert decision.state is StartState.WAITING
    assert decision.reason == "brokers does not exist yet"


def test_an_older_deployment_is_waited_out() -> None:
    older = Deployment("old", "ACTIVE", "COMPLETED", "", 0)
    decision = decide_start(replace(SERVICE, deployments=(COMPLETED, older)), [], "")
    assert decision.state is StartState.WAITING


@pytest.mark.parametrize(("count", "percent"), [(1, 0), (2, 50), (3, 66), (4, 75), (6, 83)])
def test_at_most_one_of_n_may_be_taken_down(count: int, percent: int) -> None:
    assert minimum_healthy_percent(count) == percent
    if count > 1:
        # ECS rounds the number of tasks that must stay up to the next whole one.
        assert -(-percent * count // 100) == count - 1


def test_polls_back_off_and_come_back_near_the_end() -> None:
    waits = [next_wait(n, near_end=False) for n in range(1, 12)]
    assert waits[0] == SHORTEST
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST
    assert next_wait(100, near_end=True) == SHORTEST


def test_what_is_at_zero_or_failed_with_nothing_running_is_started_anew() -> None:
    failed = replace(SERVICE, deployments=(replace(COMPLETED, rollout_state="FAILED"),))
    assert must_start(replace(SERVICE, desired=0, running=0))
    assert must_start(replace(failed, running=0))
    assert not must_start(replace(failed, running=1))
    assert not must_start(replace(SERVICE, running=0))
