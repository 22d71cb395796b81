"""What the last rehearsal of a cluster leaves: what it showed, and how long a restore took.

It stays when the cluster is torn down: how long a restore takes is wanted most by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Mapping

MACHINE: Final = "rehearse"
PASSED: Final = frozenset({"PASS", "WARN"})
FAIL: Final = "FAIL"
# It was stopped by a person, and has shown nothing: what the one before it showed stands.
_STOPPED: Final = "ABORTED"
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Measured:
    """The last restore that a rehearsal measured and found whole.

    ``seconds`` is from its start to the end of its verification, ``at`` the rehearsal's end.
    ``objects`` and ``size`` (bytes) of the backup bucket were copied; None where not known.
    """

    operation_id: str
    at: datetime
    seconds: int
    objects: int | None = None
    size: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "operationId": self.operation_id,
            "at": written(self.at),
            "seconds": self.seconds,
            "objects": self.objects,
            "bytes": self.size,
        }


@dataclass(frozen=True, slots=True)
class RehearsalNote:
    """The last rehearsal that ended by itself: its ``result`` (PASS, WARN, FAIL) and why it failed.

    ``measured`` is of this one, or of the last one before it that measured a whole restore.
    """

    operation_id: str
    at: datetime
    result: str
    failure: str = ""
    measured: Measured | None = None

    @property
    def failed(self) -> bool:
        """Whether it did not show that a backup comes back; what is not known has not."""
        return self.result not in PASSED

    def after(self, before: RehearsalNote | None) -> RehearsalNote | None:
        """Add what an earlier one measured; None if the one before is not older."""
        if before is None:
            return self
        if before.at > self.at:
            return None
        if self.measured is not None:
            return self
        return RehearsalNote(self.operation_id, self.at, self.result, self.failure, before.measured)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON; ``recoverySeconds`` is null where no rehearsal measured a restore."""
        return {
            "operationId": self.operation_id,
            "at": written(self.at),
            "result": self.result,
            "failure": self.failure,
            "recoverySeconds": self.measured.seconds if self.measured is not None else None,
            "measured": self.measured.as_dict() if self.measured is not None else None,
        }


def note_of(ended: Mapping[str, Any], operation_id: str, at: datetime) -> RehearsalNote | None:
    """Return the note of a rehearsal from what it reports; None for one that a person stopped.

    ``ended`` has ``result``, for a failure ``cause``, and ``rehearsal`` if it came to its end.
    """
    if ended.get("result") == _STOPPED:
        return None
    found: Mapping[str, Any] = ended.get("rehearsal") or {}
    succeeded = ended.get("result") == "SUCCEEDED"
    result = str(found.get("result") or FAIL) if succeeded else FAIL
    failure = "" if succeeded else str(found.get("failure") or ended.get("cause") or "")
    seconds = found.get("recoverySeconds")
    measured = None
    if result in PASSED and isinstance(seconds, int):
        copied: Mapping[str, Any] = found.get("copied") or {}
        measured = Measured(
            operation_id, at, seconds, _number(copied, "objects"), _number(copied, "bytes")
        )
    return RehearsalNote(operation_id, at, result, failure[:_LONGEST], measured)


def read_note(state: Mapping[str, Any]) -> RehearsalNote:
    """Read what ``as_dict`` gave."""
    measured = state.get("measured")
    return RehearsalNote(
        str(state["operationId"]),
        datetime.fromisoformat(state["at"]),
        str(state["result"]),
        str(state.get("failure", "")),
        None
        if measured is None
        else Measured(
            str(measured["operationId"]),
            datetime.fromisoformat(measured["at"]),
            int(measured["seconds"]),
            _number(measured, "objects"),
            _number(measured, "bytes"),
        ),
    )


def _number(given: Mapping[str, Any], name: str) -> int | None:
    found = given.get(name)
    return found if isinstance(found, int) else None
