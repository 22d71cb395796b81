"""Read a plan that was made: the stored one, as JSON, text or page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import OperationNotFound, PlanNotFinished, PlanNotFound
from lifecycle.operation.progress import status_of
from lifecycle.operation.record import RUNNING
from lifecycle.plans.text import plan_text
from lifecycle.scaling.plan import plan_text as scaling_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.operation.ports import Artifacts
    from lifecycle.operation.read import OperationReader

_PLAN: Final = "plan"


@dataclass(frozen=True, slots=True)
class PlanReader:
    """The use case and its ports."""

    operations: OperationReader
    artifacts: Artifacts

    def read(self, operation_id: str) -> dict[str, Any]:
        """Return the plan that an operation made, in the version that its record names.

        Raises ``PlanNotFound`` where no plan machine's operation has that id or its plan is not
        the recorded one, ``PlanNotFinished`` while it runs and where it ended without a plan.
        """
        try:
            record, execution = self.operations.find(operation_id)
        except OperationNotFound as error:
            raise PlanNotFound(error.message, next_step=_LIST) from None
        if record.machine != _PLAN:
            raise PlanNotFound(
                f"Operation {operation_id} is one of the {record.machine} machine, not a plan.",
                next_step=_LIST,
            )
        status = status_of(record, execution)
        if status in RUNNING or not record.report.key or record.result != "SUCCEEDED":
            raise PlanNotFinished(f"The operation of plan {operation_id} is {status}.")
        body = self.artifacts.get(record.report.key, record.report.version)
        if body is None or not record.report.is_of(body):
            raise PlanNotFound(
                f"The artifact bucket no longer has plan {operation_id} as it was made."
            )
        plan: dict[str, Any] = json.loads(body)
        return plan


_LIST: Final = "List the plans (GET /operations?verb=plan)."


def as_text(plan: Mapping[str, Any]) -> str:
    """Return a plan of any kind as text that ends with a newline."""
    if plan["kind"] == "scale":
        return scaling_text(plan)
    return str(plan["text"]) if plan["kind"] == "teardown" else plan_text(plan)
