"""Report on a cluster's health: the last check, or one made now."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.errors import ClusterNotFound, Failure, HealthUnavailable, StackNotUsable
from lifecycle.health.report import report

if TYPE_CHECKING:
    from lifecycle.health.ports import Checks, HealthRecords
    from lifecycle.operation.arns import MachineArns


@dataclass(frozen=True, slots=True)
class HealthReader:
    """Reads health reports: the last one, or one of a new check."""

    records: HealthRecords
    checks: Checks
    arns: MachineArns

    def last(self, cluster: str) -> dict[str, Any]:
        """Return the report of the last check. Raises ``HealthUnavailable`` when there is none."""
        record = self.records.find(cluster)
        if record is None:
            raise HealthUnavailable(
                f"No check of a cluster {cluster!r} is written down.",
                next_step="Check the name (GET /clusters), or check now: ?fresh=true.",
            )
        return report(record)

    def fresh(self, cluster: str) -> dict[str, Any]:
        """Check now, which takes up to 25 seconds, and return the report.

        Raises ``ClusterNotFound``, ``StackNotUsable`` and ``HealthUnavailable``.
        """
        execution = self.checks.run(
            self.arns.machine("check_health"), json.dumps({"clusterName": cluster})
        )
        if execution.status == "SUCCEEDED":
            answer: dict[str, Any] = json.loads(execution.output)
            answer.pop("recorded", None)
            return answer
        if execution.error == "ClusterNotFound":
            raise ClusterNotFound(f"There is no cluster {cluster!r}.")
        found = Failure.read(execution.error or execution.status, execution.cause)
        if found.name == "StackNotUsable":
            raise StackNotUsable(found.cause, next_step=found.next_step)
        raise HealthUnavailable(
            f"The check of {cluster} ended with {found.name}.",
            next_step="Look at the log groups of check_health and its functions.",
        )
