"""Link the report of an ended operation and its page, for as long as a person needs to follow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import ReportNotFound
from lifecycle.operation.page import page_key
from lifecycle.operation.progress import status_of
from lifecycle.operation.record import RUNNING, Stored
from lifecycle.times import written

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Clock
    from lifecycle.operation.ports import Artifacts
    from lifecycle.operation.read import OperationReader

LASTS: Final = timedelta(minutes=5)
_PLAN: Final = "plan"


@dataclass(frozen=True, slots=True)
class ReportLinker:
    """The use case and its ports."""

    operations: OperationReader
    artifacts: Artifacts
    clock: Clock

    def links(self, operation_id: str) -> dict[str, Any]:
        """Return presigned links to the report that is recorded and to the page beside it.

        ``operationId``, ``reportUrl``, ``pageUrl`` (null where no page could be stored or an
        earlier release wrote the report) and ``expiresAt`` (ISO 8601). Who has a link reads that
        version of that object without any other permission, so links are written down nowhere.
        Raises ``OperationNotFound``, and ``ReportNotFound`` where there is no such report.
        """
        record, execution = self.operations.find(operation_id)
        if record.machine == _PLAN:
            raise ReportNotFound(
                f"Operation {operation_id} is a plan, which has no report of its own.",
                next_step=f"Read the plan: GET /plans/{operation_id}.",
            )
        status = status_of(record, execution)
        if status in RUNNING or not record.report.key:
            raise ReportNotFound(f"Operation {operation_id} is {status} and has no report.")
        body = self.artifacts.get(record.report.key, record.report.version)
        if body is None or not record.report.is_of(body):
            raise ReportNotFound(
                f"The artifact bucket no longer has the report of {operation_id} as it was written."
            )
        version = json.loads(body).get("pageVersion")
        until = self.clock.now() + LASTS
        return {
            "operationId": operation_id,
            "reportUrl": self.artifacts.link(record.report, LASTS),
            "pageUrl": self.artifacts.link(Stored(page_key(record.report.key), version), LASTS)
            if version
            else None,
            "expiresAt": written(until),
        }
