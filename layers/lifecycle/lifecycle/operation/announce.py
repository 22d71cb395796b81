"""Publish the start and the end of an operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.operation import events

if TYPE_CHECKING:
    from lifecycle.operation.model import Operation
    from lifecycle.operation.ports import Events, Operations


@dataclass(frozen=True, slots=True)
class Announcer:
    """The use case and its ports."""

    events: Events
    operations: Operations
    control_stack: str

    def started(self, operation: Operation) -> None:
        """Publish that an operation holds its cluster and starts."""
        self.events.send(
            events.started(
                operation, control_stack=self.control_stack, principal=self._principal(operation)
            )
        )

    def ended(
        self, operation: Operation, *, result: str, error: str, report_key: str, ended_at: str
    ) -> bool:
        """Publish how an operation ended; return whether EventBridge took the event.

        Repeated if the end itself has to be repeated.
        """
        return self.events.send(
            events.ended(
                operation,
                control_stack=self.control_stack,
                principal=self._principal(operation),
                result=result,
                error=error,
                report_key=report_key,
                ended_at=ended_at,
            )
        )

    def _principal(self, operation: Operation) -> str:
        record = self.operations.find(operation.operation_id, operation.machine)
        return record.caller if record else ""
