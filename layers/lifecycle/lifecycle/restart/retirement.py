"""Fargate's notices that it will replace tasks, and when the automation does it before.

Fargate retires a platform version: from a date on, which AWS Health announces, ECS stops the tasks
that run on it by the service's minimum healthy percent, not by partitions, and protection from
scale-in does not stop it. A restart before that date is one broker at a time, by the cluster's own
state, and new tasks are placed on the newest version. Source:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-maintenance.html, with the event.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.maintenance_window import next_opening, read_window
from lifecycle.errors import NoticeUnreadable
from lifecycle.restart.request import RestartedService
from lifecycle.services.definition import BROKERS, CONNECTORS

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_TYPE: Final = "AWS_ECS_TASK_PATCHING_RETIREMENT"
# Where no window opens before AWS's date, the restart begins so long before it.
LEAD: Final = timedelta(hours=6)
# What begins in a window has to be done before AWS begins.
ENOUGH: Final = timedelta(hours=2)
# A schedule lies in the future, also where nothing is waited for.
AT_ONCE: Final = timedelta(minutes=1)
SERVICES: Final[Mapping[str, RestartedService]] = {
    BROKERS: RestartedService.BROKERS,
    CONNECTORS: RestartedService.CONNECTORS,
}
_TASK: Final = re.compile(r"arn:[a-z-]+:ecs:([a-z0-9-]+):\d+:task/([^/]+)/([0-9a-f]+)")
_SERVICE: Final = re.compile(r"arn:[a-z-]+:ecs:([a-z0-9-]+):\d+:service/([^/]+)/([^/]+)")


@dataclass(frozen=True, slots=True)
class Affected:
    """One thing that a notice names: a service of an ECS cluster, or a task of it by its id."""

    ecs_cluster: str
    service: str = ""
    task: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice of retirement: from ``begins_at`` on AWS replaces the tasks.

    ``id`` is the same for each delivery of the same notice; tasks that started after
    ``announced_at`` are on the newest platform version.
    """

    id: str
    region: str
    closed: bool
    announced_at: datetime
    begins_at: datetime
    affected: tuple[Affected, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """When a restart begins, and why then."""

    at: datetime
    reason: str


def read_notice(event: Mapping[str, Any]) -> Notice:
    """Read the EventBridge event of AWS Health, as its documentation shows it.

    Services are named ``cluster|service``, in ``resources`` or as ``affectedEntities``, tasks by
    their ARN. What is named otherwise is no task of a service. Raises ``NoticeUnreadable``.
    """
    try:
        detail = event["detail"]
        entities = [one["entityValue"] for one in detail.get("affectedEntities") or ()]
        named = dict.fromkeys([*(event.get("resources") or ()), *entities])
        # The text of a notice may grow, and it may be sent again for that; its date identifies it.
        identity = f"{detail['eventArn']} {detail['startTime']}"
        return Notice(
            id=hashlib.sha256(identity.encode()).hexdigest()[:16],
            region=str(detail.get("eventRegion") or event["region"]),
            closed=detail.get("statusCode") == "closed",
            announced_at=datetime.fromisoformat(event["time"]).astimezone(UTC),
            begins_at=parsedate_to_datetime(detail["startTime"]).astimezone(UTC),
            affected=tuple(one for one in map(_affected, named) if one is not None),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoticeUnreadable(
            f"An AWS Health notice could not be read ({type(error).__name__}: {error})."
        ) from error


def _affected(entity: str) -> Affected | None:
    if found := _TASK.fullmatch(entity):
        return Affected(found[2], task=found[3])
    if found := _SERVICE.fullmatch(entity):
        return Affected(found[2], service=found[3])
    cluster, bar, service = entity.partition("|")
    if not bar:
        return None
    # Documented as names; an ARN's last part is the name, too.
    return Affected(cluster.rsplit("/", 1)[-1], service=service.rsplit("/", 1)[-1])


def decide_moment(begins_at: datetime, window: str, zone: str, now: datetime) -> Moment:
    """Decide when to restart before AWS's date: in the window, and else as late as is safe.

    ``window`` and ``zone`` are the cluster's parameters; an empty window allows any time.
    """
    soon = now + AT_ONCE
    if begins_at <= soon:
        return Moment(soon, "AWS replaces the tasks from now on, so the restart does not wait")
    latest = max(soon, begins_at - LEAD)
    try:
        opening = next_opening(read_window(window, zone), soon)
    except ValueError as error:
        return Moment(latest, f"the maintenance window cannot be read: {error}")
    if opening <= begins_at - ENOUGH:
        reason = "in the maintenance window" if window else "there is no maintenance window"
        return Moment(opening, reason)
    hours = ENOUGH // timedelta(hours=1)
    return Moment(latest, f"no maintenance window opens {hours} hours or more before AWS begins")
