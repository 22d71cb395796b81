"""Why tasks stopped, in the words that ECS was seen to use."""

from __future__ import annotations

import pytest
from lifecycle.services.stops import Cause, StoppedTask, missing_capacity

SCHEDULER = "ServiceSchedulerInitiated"


def stop(code: str, reason: str, *containers: str) -> StoppedTask:
    return StoppedTask("t", "2026-01-01T00:00:00+00:00", code, reason, containers)


@pytest.mark.parametrize(
    ("task", "cause"),
    [
        (stop(SCHEDULER, "Scaling activity initiated by (deployment ecs-svc/1)"), Cause.ORDERED),
        # What the process says of its end when it was stopped is no reason of the stop.
        (
            stop(SCHEDULER, "Scaling activity initiated by (deployment d)", "b, OutOfMemoryError"),
            Cause.ORDERED,
        ),
        (stop("UserInitiated", "Task stopped by user"), Cause.ORDERED),
        (stop("UserInitiated", "failed container health checks, said Bob"), Cause.ORDERED),
        (stop(SCHEDULER, "Task failed container health checks"), Cause.HEALTH_CHECK),
        (
            stop(SCHEDULER, "Task failed ELB health checks in (target-group arn:x)"),
            Cause.HEALTH_CHECK,
        ),
        (
            stop("TaskFailedToStart", "CannotPullContainerError: manifest unknown"),
            Cause.IMAGE,
        ),
        (
            stop(
                "TaskFailedToStart",
                "CannotPullContainerError: User: arn:aws:sts::1:assumed-role/x is not authorized "
                "to perform: ecr:BatchGetImage",
            ),
            Cause.PERMISSION,
        ),
        (
            stop(
                "TaskFailedToStart",
                "ResourceInitializationError: unable to pull secrets or registry auth: execution "
                "resource retrieval failed: AccessDeniedException",
            ),
            Cause.PERMISSION,
        ),
        (
            stop(
                "TaskFailedToStart",
                "ResourceInitializationError: failed to invoke EFS utils commands",
            ),
            Cause.CONFIGURATION,
        ),
        (
            stop("TaskFailedToStart", "Capacity is unavailable at this time. Please try again"),
            Cause.CAPACITY,
        ),
        (stop("SpotInterruption", "Your Spot Task was interrupted."), Cause.SPOT),
        (stop("InfrastructureHealth", ""), Cause.MAINTENANCE),
        (
            stop(
                SCHEDULER,
                "Amazon ECS is performing maintenance on the underlying infrastructure hosting "
                "the task.",
            ),
            Cause.MAINTENANCE,
        ),
        (
            stop(
                "EssentialContainerExited",
                "Essential container in task exited",
                "b, exit code 137, OutOfMemoryError: Container killed due to memory usage",
            ),
            Cause.MEMORY,
        ),
        (
            stop(
                "EssentialContainerExited", "Essential container in task exited", "b, exit code 1"
            ),
            Cause.EXITED,
        ),
        (stop("TaskFailedToStart", ""), Cause.UNKNOWN),
        (stop("", ""), Cause.UNKNOWN),
        (stop("SomethingNew", "of 2030"), Cause.UNKNOWN),
    ],
)
def test_what_stopped_a_task(task: StoppedTask, cause: Cause) -> None:
    assert task.cause is cause
    assert task.failed is (cause is not Cause.ORDERED)


def test_only_what_another_try_helps_passes() -> None:
    passing = {cause for cause in Cause if cause.passes}
    assert passing == {Cause.CAPACITY, Cause.MAINTENANCE, Cause.SPOT, Cause.HEALTH_CHECK}


def test_why_is_told_in_our_words_and_in_theirs() -> None:
    image = stop("TaskFailedToStart", "CannotPullContainerError: manifest unknown")
    told = "the image cannot be pulled; CannotPullContainerError: manifest unknown"
    assert image.why == told
    exited = stop("EssentialContainerExited", "", "broker, exit code 1")
    assert exited.why == "EssentialContainerExited; broker, exit code 1"
    assert stop("", "").why == "no reason given"


def test_an_event_says_that_a_task_could_not_be_placed() -> None:
    assert missing_capacity("(service brokers) was unable to place a task. Reason: Capacity is ...")
    assert not missing_capacity("(service brokers) has reached a steady state.")
