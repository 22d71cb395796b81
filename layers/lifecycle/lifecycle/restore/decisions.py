"""Restoring the database and the brokers: what is seen, what follows, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.restore.ports import RestoreTask, Thing

# Aurora copies a large volume for hours (no source has a number), and a restore replays the log.
DATABASE_PATIENCE: Final = 4 * 60 * 60
TASKS_PATIENCE: Final = 4 * 60 * 60
# RDS lists what was begun after a moment.
APPEARS: Final = 5 * 60


class DatabaseAction(StrEnum):
    """What is done next about the database."""

    RESTORE = "RESTORE"
    """Begin to restore it to the moment, as a copy without instances."""
    SNAPSHOT = "SNAPSHOT"
    """Begin the snapshot of the copy."""
    REMOVE = "REMOVE"
    """Delete the copy, of which there is a snapshot."""
    WAIT = "WAIT"
    DONE = "DONE"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class DatabaseDecision:
    """The next action and why."""

    action: DatabaseAction
    reason: str


def decide_database(
    *, snapshot: Thing, staging: Thing, names: tuple[str, str], made: bool, own: bool
) -> DatabaseDecision:
    """Decide from the snapshot that the stack is to restore, and the copy it is taken of.

    ``names`` are those of both; ``made`` is true where the restore makes the snapshot, false where
    an existing one is restored as it is. ``own``: it is one that this restore or an earlier start
    of it has made, so that the copy is as well.
    """
    name, copy = names
    if snapshot.status == "available":
        if own and staging.status == "available":
            return DatabaseDecision(DatabaseAction.REMOVE, f"snapshot {name} is available")
        if own and staging.status in _TURNING - {"deleting"}:
            reason = f"the copy {copy} is {staging.status}, before it can be deleted"
            return DatabaseDecision(DatabaseAction.WAIT, reason)
        return DatabaseDecision(DatabaseAction.DONE, f"snapshot {name} is available")
    if snapshot.status == "creating":
        return DatabaseDecision(DatabaseAction.WAIT, f"snapshot {name} is being created")
    if snapshot.exists:
        return DatabaseDecision(DatabaseAction.FAIL, f"snapshot {name} is {snapshot.status}")
    if not made:
        return DatabaseDecision(DatabaseAction.FAIL, f"snapshot {name} does not exist any more")
    if not staging.exists:
        return DatabaseDecision(DatabaseAction.RESTORE, f"there is no copy {copy} yet")
    if staging.status == "available":
        return DatabaseDecision(DatabaseAction.SNAPSHOT, f"the copy {copy} is available")
    if staging.status in _TURNING:
        return DatabaseDecision(DatabaseAction.WAIT, f"the copy {copy} is {staging.status}")
    return DatabaseDecision(DatabaseAction.FAIL, f"the copy {copy} is {staging.status}")


# What becomes available, or goes, by itself.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html
_TURNING: Final = frozenset(
    {
        "backing-up",
        "creating",
        "deleting",
        "maintenance",
        "migrating",
        "modifying",
        "preparing-data-migration",
        "resetting-master-credentials",
        "starting",
        "update-iam-db-auth",
        "upgrading",
    }
)


class TasksAction(StrEnum):
    """What is done next about the tasks that restore."""

    RUN = "RUN"
    """Start as many as are missing."""
    STOP = "STOP"
    """Stop those that wait for one that failed: none of them ends otherwise."""
    WAIT = "WAIT"
    DONE = "DONE"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class TasksDecision:
    """The next action and why; ``count`` of tasks to start, ``tasks`` (ids) to stop or that failed.

    ``progress`` changes with every task that begins or ends.
    """

    action: TasksAction
    reason: str
    count: int = 0
    tasks: tuple[str, ...] = ()
    progress: str = ""


def decide_tasks(
    tasks: Sequence[RestoreTask],
    *,
    brokers: int,
    restored: int,
    since: int,
    unseen: int = 0,
) -> TasksDecision:
    """Decide from the tasks and from how many nodes the bucket lists as restored.

    Each process takes a node id, restores it, and ends with 0 once all are restored: all of them
    have to run at once (camunda/camunda, ``RestoreNodeIdProvider``). A process that starts when
    all are restored ends with 0 at once. ``since`` (epoch seconds) is from when a task that ended
    counts: one of an earlier start says nothing about this one. ``unseen`` are those that ECS has
    just started and does not list yet: more than ``brokers`` at once would wait for a node id for
    ever.
    """
    alive = [one for one in tasks if not one.stopped]
    ended = [one for one in tasks if one.stopped and one.created_at >= since]
    failed = [one for one in ended if one.exit_code != 0]
    done = [one for one in ended if one.exit_code == 0]
    progress = f"{len(alive)}/{len(done)}/{restored}"
    if restored >= brokers or len(done) >= brokers:
        if alive:
            reason = f"all {brokers} brokers are restored, {len(alive)} tasks end"
            return TasksDecision(TasksAction.WAIT, reason, progress=progress)
        return TasksDecision(TasksAction.DONE, f"all {brokers} brokers are restored")
    if failed:
        why = "; ".join(f"task {one.task_id}: {_end_of(one)}" for one in failed)
        stop = tuple(one.task_id for one in alive)
        action = TasksAction.STOP if stop else TasksAction.FAIL
        failing = stop or tuple(one.task_id for one in failed)
        return TasksDecision(action, why, tasks=failing, progress=progress)
    missing = brokers - len(alive) - len(done) - unseen
    if missing > 0:
        reason = f"{len(alive)} of {brokers} tasks run"
        return TasksDecision(TasksAction.RUN, reason, count=missing, progress=progress)
    reason = f"{restored} of {brokers} brokers are restored, {len(alive)} tasks run"
    return TasksDecision(TasksAction.WAIT, reason, progress=progress)


def _end_of(task: RestoreTask) -> str:
    code = "no exit code" if task.exit_code is None else f"exit code {task.exit_code}"
    return f"{code}, {task.reason}" if task.reason else code
