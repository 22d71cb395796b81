"""The scheduler's decisions, and that following them always ends where it should."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from local.fargate.scheduling import (
    Decision,
    ServiceView,
    TaskView,
    breaker_threshold,
    decide,
    failures_after_success,
    least_convenient,
    node_id_told,
    retry_delay,
    settled,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def task(
    name: str,
    *,
    deployment: str = "new",
    healthy: bool = True,
    protected: bool = False,
    node_id: int | None = None,
) -> TaskView:
    return TaskView(
        id=name,
        deployment=deployment,
        running=healthy,
        healthy=healthy,
        protected=protected,
        node_id=node_id,
        created=0.0,
    )


def brokers(count: int, **options: object) -> tuple[TaskView, ...]:
    return tuple(task(f"t{n}", node_id=n, **options) for n in range(count))  # type: ignore[arg-type]


def service(desired: int, *tasks: TaskView, failed: bool = False, **percent: int) -> ServiceView:
    return ServiceView(
        desired=desired,
        deployment="new",
        failed=failed,
        minimum_percent=percent.get("minimum", 66),
        maximum_percent=percent.get("maximum", 100),
        tasks=tasks,
    )


def test_missing_tasks_are_started_at_once() -> None:
    assert decide(service(3)) == Decision(start=3)


def test_nothing_is_done_when_all_run() -> None:
    assert decide(service(3, *brokers(3))) == Decision()


def test_scale_in_stops_the_lowest_node_ids_first() -> None:
    assert decide(service(3, *brokers(5))).stop == ("t0", "t1")


def test_scale_in_spares_protected_tasks() -> None:
    survivors = tuple(replace(one, protected=True) for one in brokers(3))
    leaving = (task("t3", node_id=3), task("t4", node_id=4))
    assert decide(service(3, *survivors, *leaving)).stop == ("t3", "t4")


def test_scale_in_waits_when_too_many_are_protected() -> None:
    assert decide(service(3, *brokers(5, protected=True))) == Decision()


def test_a_task_without_a_node_id_is_stopped_last() -> None:
    tasks = (task("waiting", healthy=False), *brokers(2))
    assert least_convenient(tasks, 3) == ("t0", "t1", "waiting")


def test_a_failed_deployment_starts_nothing_but_scales_in() -> None:
    assert decide(service(3, failed=True)) == Decision()
    assert decide(service(0, *brokers(2), failed=True)).stop == ("t0", "t1")


def test_a_rolling_deployment_replaces_one_broker_of_three() -> None:
    first = decide(service(3, *brokers(3, deployment="old")))
    assert first == Decision(start=1, stop=("t0",))


def test_a_rolling_deployment_waits_for_the_replacement_to_be_healthy() -> None:
    old = brokers(3, deployment="old")[1:]
    assert decide(service(3, *old, task("t9", healthy=False))) == Decision()
    assert decide(service(3, *old, task("t9"))) == Decision(start=1, stop=("t1",))


def test_sixty_six_percent_of_six_would_let_two_go() -> None:
    assert len(decide(service(6, *brokers(6, deployment="old"), minimum=66)).stop) == 2
    assert len(decide(service(6, *brokers(6, deployment="old"), minimum=83)).stop) == 1


def test_with_room_above_the_new_task_comes_first() -> None:
    found = decide(service(1, task("o", deployment="old"), minimum=100, maximum=200))
    assert found == Decision(start=1)


def test_a_protected_old_task_blocks_its_replacement() -> None:
    old = brokers(3, deployment="old", protected=True)
    assert decide(service(3, *old)) == Decision()


@pytest.mark.parametrize(
    ("desired", "threshold"), [(0, 3), (1, 3), (3, 3), (6, 3), (7, 4), (25, 13), (1000, 200)]
)
def test_breaker_threshold_is_half_of_desired_from_3_to_200(desired: int, threshold: int) -> None:
    assert breaker_threshold(desired) == threshold


@pytest.mark.parametrize(
    ("kind", "value", "threshold"),
    [
        ("COUNT", 2, 2),
        ("BOUNDED_PERCENT", 100, 6),
        ("BOUNDED_PERCENT", 10, 3),
        ("UNBOUNDED_PERCENT", 10, 1),
        ("UNBOUNDED_PERCENT", 300, 18),
    ],
)
def test_breaker_threshold_is_what_the_service_says(kind: str, value: int, threshold: int) -> None:
    breaker = {"enable": True, "thresholdConfiguration": {"type": kind, "value": value}}
    assert breaker_threshold(6, breaker) == threshold


def test_failures_are_counted_in_a_row_unless_the_service_says_otherwise() -> None:
    assert failures_after_success(2, {"enable": True}) == 0
    assert failures_after_success(2, {"enable": True, "resetOnHealthyTask": False}) == 2


def test_retries_slow_down_and_then_keep_their_pace() -> None:
    assert [retry_delay(n) for n in (0, 1, 2, 3, 20)] == [0, 1, 2, 4, 30]


def test_a_node_id_is_known_when_the_process_has_written_it(tmp_path: Path) -> None:
    told = tmp_path / "node-id"
    assert node_id_told(told) is None
    told.write_text("")
    assert node_id_told(told) is None
    told.write_text("2")
    assert node_id_told(told) == 2


def test_a_deployment_is_settled_only_with_exactly_its_own_healthy_tasks() -> None:
    assert settled(service(3, *brokers(3)))
    assert settled(service(0))
    assert not settled(service(3, *brokers(2)))
    assert not settled(service(3, *brokers(4)))
    assert not settled(service(2, task("a"), task("b", healthy=False)))
    assert not settled(service(2, task("a"), task("b", deployment="old")))


tasks = st.builds(
    task,
    st.uuids().map(str),
    deployment=st.sampled_from(["new", "old"]),
    healthy=st.booleans(),
    node_id=st.none() | st.integers(0, 9),
)
services = st.builds(
    ServiceView,
    desired=st.integers(0, 7),
    deployment=st.just("new"),
    failed=st.just(False),
    minimum_percent=st.sampled_from([0, 50, 66, 83]),
    maximum_percent=st.sampled_from([100, 150, 200]),
    tasks=st.lists(tasks, max_size=8).map(tuple),
)


@given(services)
def test_a_step_respects_both_limits(before: ServiceView) -> None:
    decision = decide(before)
    stopped = set(decision.stop)
    kept = [one for one in before.tasks if one.id not in stopped]
    assert len(stopped) == len(decision.stop)
    assert not any(one.protected for one in before.tasks if one.id in stopped)
    if decision.start:
        most = max(before.desired, before.desired * before.maximum_percent // 100)
        assert len(kept) + decision.start <= max(most, 1)
    healthy = sum(one.healthy for one in before.tasks)
    least = -(-before.desired * before.minimum_percent // 100)
    if healthy >= least and len(before.tasks) <= before.desired:
        assert sum(one.healthy for one in kept) >= min(least, before.desired)


@given(services)
def test_following_the_steps_ends_settled(view: ServiceView) -> None:
    # ECS as well gets stuck where rounding leaves no task to spare: 1 task, 50 % to 100 %.
    least = math.ceil(view.desired * view.minimum_percent / 100)
    assume(view.desired * view.maximum_percent // 100 > least or view.desired == 0)
    started = 0
    for _ in range(60):
        if settled(view):
            return
        decision = decide(view)
        kept = tuple(
            replace(one, healthy=True) for one in view.tasks if one.id not in decision.stop
        )
        added = tuple(task(f"s{started + n}", healthy=False) for n in range(decision.start))
        started += decision.start
        view = replace(view, tasks=(*kept, *added))
    pytest.fail(f"not settled: {view}")
