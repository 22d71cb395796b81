"""Evaluate a health check: verdict, record, metrics and the event of a change.

The record is written on condition that no newer one exists, and only the check that wrote it
notifies. So a check that is delivered twice, or two at the same time, notify once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import stack_name
from lifecycle.errors import AwsUnavailable
from lifecycle.health.facts import StackStatus, read_facts
from lifecycle.health.measure import measurements
from lifecycle.health.report import report
from lifecycle.health.rules import Running
from lifecycle.health.verdict import assess, read_moment
from lifecycle.operation import events

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from lifecycle.cluster.ports import Clock
    from lifecycle.health.ports import HealthRecords, Metrics
    from lifecycle.health.verdict import Notification, Record
    from lifecycle.operation.ports import Events

_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class HealthJudge:
    """Evaluates checks, and writes, measures and notifies of their results."""

    records: HealthRecords
    events: Events
    metrics: Metrics
    clock: Clock
    control_stack: str

    def judge(self, subject: Mapping[str, Any], inside: object, outside: object) -> dict[str, Any]:
        """Evaluate the results of both sides and return the report.

        ``subject`` is the result of ``locate_cluster``: ``cluster``, ``at``, ``began``,
        ``scheduled``, ``outputs``, ``stack``. A check that is not newer than the
        last one written is reported with ``recorded`` false; it changes nothing and sends no
        notification.
        """
        cluster, at = str(subject["cluster"]), read_moment(subject["at"])
        stack = self._stack(subject)
        facts = read_facts(ClusterOutputs(subject["outputs"]), stack, inside, outside)
        began = read_moment(subject["began"])
        seconds = round((self.clock.now() - began).total_seconds(), 3)
        for _ in range(_ATTEMPTS):
            before = self.records.find(cluster)
            running, scaling = self._running(subject), self.records.scaling(cluster)
            rehearsed = self.records.rehearsal(cluster)
            late = before is not None and before.checked_at >= at
            assessed = assess(
                cluster,
                facts,
                at=at,
                before=None if late else before,
                running=running,
                seconds=seconds,
                scheduled=subject["scheduled"],
                scaling=scaling,
                rehearsed=rehearsed,
            )
            if late:
                return {**report(assessed.record), "recorded": False}
            if self.records.write(assessed.record, before):
                self.metrics.emit(
                    f"{self.control_stack}-{cluster}",
                    measurements(assessed.record, facts, before),
                    [str(one["code"]) for one in assessed.record.findings],
                )
                if assessed.notification is not None:
                    self._notify(assessed.record, assessed.notification, subject, at)
                return {**report(assessed.record), "recorded": True}
        raise AwsUnavailable(f"Other checks of {cluster} kept writing at the same moment.")

    def _stack(self, subject: Mapping[str, Any]) -> StackStatus:
        given = subject["stack"]
        freeze = self.records.frozen(self._ecs_cluster(subject))
        return StackStatus(
            str(given["status"]),
            str(given["reason"]),
            freeze.reason if freeze is not None else str(given["frozen"]),
        )

    def _ecs_cluster(self, subject: Mapping[str, Any]) -> str:
        name = stack_name(self.control_stack, subject["cluster"])
        return str(subject["outputs"].get("EcsClusterName") or name)

    def _running(self, subject: Mapping[str, Any]) -> Running | None:
        """Return the operation that holds the cluster; an expired lock explains nothing."""
        lock = self.records.holder(self._ecs_cluster(subject))
        if lock is None or lock.expires_at <= self.clock.now().timestamp():
            return None
        # The owner's ARN ends in <control stack>-<machine>:<execution name>.
        machine = lock.owner.split(":")[-2].removeprefix(f"{self.control_stack}-")
        return Running(machine, lock.operation_id)

    def _notify(
        self, record: Record, notification: Notification, subject: Mapping[str, Any], at: datetime
    ) -> None:
        """Publish the change; the next check publishes one that could not be published."""
        event = events.health_changed(
            report(record),
            before=str(notification.before),
            now=str(notification.now),
            control_stack=self.control_stack,
            # A cluster from before the parameter has no such output.
            notify_from=str(subject["outputs"].get("NotifyFrom", "degraded")),
        )
        if self.events.send(event):
            self.records.delivered(record.cluster, at)
