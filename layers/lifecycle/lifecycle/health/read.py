"""The last check of a cluster, or one that is made now."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.errors import (
    ClusterNotFound,
    Failure,
    HealthCheckBusy,
    HealthUnavailable,
    StackNotUsable,
)
from lifecycle.health.report import report
from lifecycle.times import epoch

if TYPE_CHECKING:
    from datetime import datetime

    from lifecycle.cluster.ports import Clock
    from lifecycle.cluster.slots import Limiter
    from lifecycle.health.ports import Checks, HealthRecords
    from lifecycle.health.verdict import Record
    from lifecycle.operation.arns import MachineArns


@dataclass(frozen=True, slots=True)
class HealthReader:
    """The use case and its ports.

    ``limiter``: how many checks callers run at once; ``seconds``: how old a check is that still
    answers.
    """

    records: HealthRecords
    checks: Checks
    limiter: Limiter
    arns: MachineArns
    clock: Clock
    seconds: int

    def last(self, cluster: str) -> dict[str, Any]:
        """Return the report of the last check, with ``fresh`` false and its age in seconds.

        Raises ``HealthUnavailable`` when there is none.
        """
        record = self.records.find(cluster)
        if record is None:
            raise HealthUnavailable(
                f"No check of a cluster {cluster!r} is written down.",
                next_step="Check the name (GET /clusters), or check now: ?fresh=true.",
            )
        return self._stored(record, self.clock.now())

    def fresh(self, cluster: str) -> dict[str, Any]:
        """Check now, which takes up to 25 seconds, and return the report; ``fresh`` is true.

        A check that is younger than the limit answers instead, with ``fresh`` false. Raises
        ``HealthCheckBusy`` while as many checks run as may, ``ClusterNotFound``,
        ``StackNotUsable`` and ``HealthUnavailable``.
        """
        now = self.clock.now()
        record = self.records.find(cluster)
        if record is not None and _age(record, now) < self.seconds:
            return self._stored(record, now)
        with self.limiter.slot() as free:
            if not free:
                raise HealthCheckBusy(
                    f"{self.limiter.most} health checks of callers are running, as many as "
                    "FreshHealthChecks of the control stack allows; no further one was started."
                )
            return self._check(cluster)

    def _check(self, cluster: str) -> dict[str, Any]:
        execution = self.checks.run(
            self.arns.machine("check_health"), json.dumps({"clusterName": cluster})
        )
        if execution.status == "SUCCEEDED":
            answer: dict[str, Any] = json.loads(execution.output)
            answer.pop("recorded", None)
            return {**answer, "fresh": True, "ageSeconds": 0}
        if execution.error == "ClusterNotFound":
            raise ClusterNotFound(f"There is no cluster {cluster!r}.")
        found = Failure.read(execution.error or execution.status, execution.cause)
        if found.name == "StackNotUsable":
            raise StackNotUsable(found.cause, next_step=found.next_step)
        raise HealthUnavailable(
            f"The check of {cluster} ended with {found.name}.",
            next_step="Look at the log groups of check_health and its functions.",
        )

    @staticmethod
    def _stored(record: Record, now: datetime) -> dict[str, Any]:
        return {**report(record), "fresh": False, "ageSeconds": _age(record, now)}


def _age(record: Record, now: datetime) -> int:
    return max(0, epoch(now) - epoch(record.checked_at))
