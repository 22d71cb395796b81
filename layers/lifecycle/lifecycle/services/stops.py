"""Why tasks stopped: one reading for starts, rolls, scalings and health checks.

ECS reports a stop code, a reason as text and the reasons of the containers. The code alone is not
enough: a task that failed its health checks is stopped by the service's scheduler, and so is
one that a scale-in or a new deployment replaces. Sources:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html (``stopCode``),
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-errors.html (the reasons).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Cause(StrEnum):
    """What stopped a task."""

    ORDERED = "ORDERED"
    """A scale-in, a new deployment or a StopTask: nothing is wrong with the task."""
    IMAGE = "IMAGE"
    PERMISSION = "PERMISSION"
    QUOTA = "QUOTA"
    MEMORY = "MEMORY"
    CONFIGURATION = "CONFIGURATION"
    CAPACITY = "CAPACITY"
    MAINTENANCE = "MAINTENANCE"
    SPOT = "SPOT"
    HEALTH_CHECK = "HEALTH_CHECK"
    EXITED = "EXITED"
    """A container exited; its exit code and its log have more."""
    UNKNOWN = "UNKNOWN"

    @property
    def passes(self) -> bool:
        """Whether ECS gets over it by trying again: a broker that replays long included."""
        return self in {Cause.CAPACITY, Cause.MAINTENANCE, Cause.SPOT, Cause.HEALTH_CHECK}

    @property
    def words(self) -> str:
        """Its name in reports; empty where ECS's own reason is sufficient."""
        return _WORDS.get(self, "")


_WORDS: Final[Mapping[Cause, str]] = {
    Cause.IMAGE: "the image cannot be pulled",
    Cause.PERMISSION: "a permission is missing",
    Cause.QUOTA: "a quota is exhausted",
    Cause.MEMORY: "the memory is exhausted",
    Cause.CONFIGURATION: "its configuration prevents the start",
    Cause.CAPACITY: "Fargate has no capacity in the zone",
    Cause.MAINTENANCE: "AWS performs maintenance on the host",
    Cause.SPOT: "Spot capacity was reclaimed",
    Cause.HEALTH_CHECK: "it failed its health checks",
}

# In lower case, the first that is found counts: what is narrower stands above what is wider.
_TEXTS: Final[Sequence[tuple[str, Cause]]] = (
    ("failed container health checks", Cause.HEALTH_CHECK),
    ("failed elb health checks", Cause.HEALTH_CHECK),
    ("spot task was interrupted", Cause.SPOT),
    ("performing maintenance", Cause.MAINTENANCE),
    ("capacity is unavailable", Cause.CAPACITY),
    ("no capacity", Cause.CAPACITY),
    ("limit on the number of", Cause.QUOTA),
    ("limitexceeded", Cause.QUOTA),
    ("accessdenied", Cause.PERMISSION),
    ("not authorized", Cause.PERMISSION),
    ("unable to assume", Cause.PERMISSION),
    ("cannotpull", Cause.IMAGE),
    ("outofmemory", Cause.MEMORY),
    ("resourceinitializationerror", Cause.CONFIGURATION),
    ("cannotcreatecontainer", Cause.CONFIGURATION),
    ("cannotstartcontainer", Cause.CONFIGURATION),
    ("cannotcreatevolume", Cause.CONFIGURATION),
)
_CODES: Final[Mapping[str, Cause]] = {
    "EssentialContainerExited": Cause.EXITED,
    "SpotInterruption": Cause.SPOT,
    "TerminationNotice": Cause.SPOT,
    "InfrastructureHealth": Cause.MAINTENANCE,
}
_BY_ORDER: Final = frozenset({"ServiceSchedulerInitiated", "UserInitiated"})


@dataclass(frozen=True, slots=True)
class StoppedTask:
    """A task of a service that stopped; ``stopped_at`` is ISO 8601 in UTC.

    ``containers`` hold the name, the exit code and the reason of each container that has one.
    """

    task_id: str
    stopped_at: str
    stop_code: str
    reason: str
    containers: tuple[str, ...] = ()

    @property
    def cause(self) -> Cause:
        """What stopped it. An unknown code is UNKNOWN, never an order."""
        # A caller of StopTask may give any reason, so only the code counts there.
        if self.stop_code == "UserInitiated":
            return Cause.ORDERED
        words = " ".join((self.reason, *self.containers)).lower()
        if self.stop_code in _BY_ORDER:
            # A container that was stopped by order may have any last words of its own.
            words = self.reason.lower()
        found = next((cause for text, cause in _TEXTS if text in words), None)
        if found is not None:
            return found
        if self.stop_code in _BY_ORDER:
            return Cause.ORDERED
        return _CODES.get(self.stop_code, Cause.UNKNOWN)

    @property
    def failed(self) -> bool:
        """Whether it was not ordered."""
        return self.cause is not Cause.ORDERED

    @property
    def never_started(self) -> bool:
        """Whether it did not come to run."""
        return self.stop_code == "TaskFailedToStart"

    @property
    def why(self) -> str:
        """Return the reason in our words, in ECS's and in the containers', as one text."""
        own = self.reason or self.stop_code or "no reason given"
        return "; ".join(part for part in (self.cause.words, own, *self.containers) if part)


def missing_capacity(event: str) -> bool:
    """Return whether a service event reports that a task could not be placed.

    Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/
    service-event-messages-list.html ("was unable to place a task").
    """
    return "unable to place" in event
