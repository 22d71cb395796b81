"""The next step of a restore, from what RDS and ECS show."""

from __future__ import annotations

import pytest
from lifecycle.restore.decisions import (
    DatabaseAction,
    TasksAction,
    decide_database,
    decide_tasks,
)
from lifecycle.restore.ports import RestoreTask, Thing

NAMES = ("demo-restore-1", "demo-staging-1")


def thing(status: str) -> Thing:
    return Thing(status, {})


@pytest.mark.parametrize(
    ("snapshot", "staging", "action"),
    [
        ("", "", DatabaseAction.RESTORE),
        ("", "creating", DatabaseAction.WAIT),
        ("", "available", DatabaseAction.SNAPSHOT),
        ("", "deleting", DatabaseAction.WAIT),
        ("", "inaccessible-encryption-credentials", DatabaseAction.FAIL),
        ("", "failed", DatabaseAction.FAIL),
        ("creating", "backing-up", DatabaseAction.WAIT),
        ("creating", "available", DatabaseAction.WAIT),
        ("failed", "available", DatabaseAction.FAIL),
        ("available", "available", DatabaseAction.REMOVE),
        ("available", "backing-up", DatabaseAction.WAIT),
        ("available", "modifying", DatabaseAction.WAIT),
        ("available", "deleting", DatabaseAction.DONE),
        ("available", "", DatabaseAction.DONE),
    ],
)
def test_a_snapshot_is_made_by_way_of_a_copy(
    snapshot: str, staging: str, action: DatabaseAction
) -> None:
    found = decide_database(
        snapshot=thing(snapshot), staging=thing(staging), names=NAMES, made=True, own=True
    )
    assert found.action is action


def test_the_copy_of_an_earlier_start_goes_also_where_its_source_is_gone() -> None:
    found = decide_database(
        snapshot=thing("available"),
        staging=thing("available"),
        names=NAMES,
        made=False,
        own=True,
    )
    assert found.action is DatabaseAction.REMOVE


@pytest.mark.parametrize(
    ("snapshot", "action"),
    [
        ("available", DatabaseAction.DONE),
        ("creating", DatabaseAction.WAIT),
        ("", DatabaseAction.FAIL),
        ("failed", DatabaseAction.FAIL),
    ],
)
def test_a_snapshot_that_exists_is_only_waited_for(snapshot: str, action: DatabaseAction) -> None:
    """Nothing is made, and no copy is removed that another restore may have made."""
    found = decide_database(
        snapshot=thing(snapshot), staging=thing("available"), names=NAMES, made=False, own=False
    )
    assert found.action is action


def runs(number: int) -> RestoreTask:
    return RestoreTask(f"t{number}", "RUNNING", 1000)


def ended(number: int, code: int | None = 0, at: int = 1000, reason: str = "") -> RestoreTask:
    return RestoreTask(f"t{number}", "STOPPED", at, code, reason)


def decided(tasks: list[RestoreTask], restored: int = 0) -> tuple[TasksAction, int]:
    found = decide_tasks(tasks, brokers=3, restored=restored, since=1000)
    return found.action, found.count


def test_all_run_at_once() -> None:
    assert decided([]) == (TasksAction.RUN, 3)
    assert decided([runs(1)]) == (TasksAction.RUN, 2)
    assert decided([runs(1), runs(2), runs(3)]) == (TasksAction.WAIT, 0)
    assert decided([runs(1), runs(2), ended(3)], restored=2) == (TasksAction.WAIT, 0)


def test_the_end_is_when_all_are_restored_and_no_task_holds_a_node_id() -> None:
    assert decided([ended(1), ended(2), ended(3)]) == (TasksAction.DONE, 0)
    assert decided([runs(1), ended(2), ended(3)], restored=3) == (TasksAction.WAIT, 0)
    assert decided([], restored=3) == (TasksAction.DONE, 0)


def test_a_failure_stops_those_that_would_wait_for_ever() -> None:
    tasks = [runs(1), runs(2), ended(3, 1, reason="Essential container in task exited")]
    found = decide_tasks(tasks, brokers=3, restored=0, since=1000)
    assert (found.action, found.tasks) == (TasksAction.STOP, ("t1", "t2"))
    assert found.reason == "task t3: exit code 1, Essential container in task exited"
    tasks = [ended(1, 137), ended(2, None), ended(3, 1)]
    found = decide_tasks(tasks, brokers=3, restored=0, since=1000)
    assert (found.action, found.tasks) == (TasksAction.FAIL, ("t1", "t2", "t3"))
    assert "task t2: no exit code" in found.reason


def test_a_failure_of_an_earlier_start_does_not_count() -> None:
    tasks = [ended(1, 1, at=999), ended(2, 0, at=999)]
    assert decided(tasks) == (TasksAction.RUN, 3)


def test_tasks_of_an_earlier_start_that_still_run_are_counted() -> None:
    early = RestoreTask("t0", "RUNNING", 10)
    assert decided([early]) == (TasksAction.RUN, 2)


def test_what_ecs_has_started_and_does_not_list_yet_is_not_started_again() -> None:
    found = decide_tasks([runs(1)], brokers=3, restored=0, since=1000, unseen=2)
    assert found.action is TasksAction.WAIT
    found = decide_tasks([runs(1)], brokers=3, restored=0, since=1000, unseen=1)
    assert (found.action, found.count) == (TasksAction.RUN, 1)


def test_progress_shows_every_beginning_and_end() -> None:
    seen = {
        decide_tasks(tasks, brokers=3, restored=restored, since=1000).progress
        for tasks, restored in (
            ([runs(1), runs(2)], 0),
            ([runs(1), runs(2), runs(3)], 0),
            ([runs(1), runs(2), runs(3)], 1),
            ([runs(1), runs(2), ended(3)], 1),
        )
    }
    assert len(seen) == 4
