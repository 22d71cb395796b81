"""What is written down about an operation, and what Step Functions reports on its execution."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from lifecycle.operation.model import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
RUNNING: Final = frozenset({"RUNNING", "PENDING_REDRIVE"})


# When brokers were seen: at the first look, while Camunda changed the cluster, at the last look.
type Stage = Literal["before", "during", "after"]
STAGES: Final[tuple[Stage, ...]] = ("before", "during", "after")
# So many things that steps waited for are noted of an operation; each is cut to so many characters.
MOST_WAITS: Final = 50
LONGEST_WAIT: Final = 160


@dataclass(frozen=True, slots=True)
class Stored:
    """A version of an object of the artifact bucket, with the SHA-256 of its bytes, hexadecimal."""

    key: str
    version: str = ""
    sha256: str = ""

    def is_of(self, body: bytes) -> bool:
        """Whether these are the bytes that were stored."""
        return self.sha256 == hashlib.sha256(body).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """An operation's item in the table. Times are ISO 8601; empty strings for what is not known.

    ``caller`` is the principal that started it through the API and ``request_hash`` the hash of
    its request; a start from console or schedule leaves both empty. ``result`` and ``report`` are
    written at the end. ``ecs_cluster`` is empty for an operation that only reads.

    ``marks_changes``: its functions note the first change before they make it, in ``changed_at``;
    without it nothing is known of changes. ``cancelled_by`` is the principal that cancelled it
    before its first change, ``resumed_by`` the one that last let it go on after its end.
    ``waits`` are what steps waited for (``step``, ``detail``, ``at``), oldest first.
    """

    operation_id: str
    cluster: str
    machine: str
    execution_arn: str
    started_at: str
    caller: str = ""
    request_hash: str = ""
    step: str = ""
    detail: str = ""
    timeline: Sequence[Mapping[str, str]] = ()
    waits: Sequence[Mapping[str, str]] = ()
    result: str = ""
    report: Stored = Stored("")
    ended_at: str = ""
    ecs_cluster: str = ""
    marks_changes: bool = False
    changed_at: str = ""
    cancelled_at: str = ""
    cancelled_by: str = ""
    resumed_by: str = ""

    @property
    def operation(self) -> Operation:
        """The operation that is recorded."""
        return Operation(
            operation_id=self.operation_id,
            execution_arn=self.execution_arn,
            cluster=self.cluster,
            machine=self.machine,
            started_at=self.started_at,
            ecs_cluster=self.ecs_cluster,
        )


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as Step Functions describes it. Input and output are JSON texts."""

    arn: str
    status: str
    started_at: str
    ended_at: str = ""
    input: str = "{}"
    output: str = ""
    error: str = ""
    cause: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it runs or will run again."""
        return self.status in RUNNING
