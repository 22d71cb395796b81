"""How far an operation is, and how it ended, in the words its steps and errors were recorded in."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import Failure
from lifecycle.operation.steps import STEPS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.operation.record import Execution, Record

_WITHOUT_NEXT_STEP: Final[Mapping[str, str]] = {
    "ABORTED": "The execution was aborted. Send the request again with a new Idempotency-Key: it "
    "resumes where it stopped.",
    "TIMED_OUT": "The state machine timed out. Send the request again with a new "
    "Idempotency-Key: it resumes where it stopped.",
    "NOT_STARTED": "Send the same request with the same Idempotency-Key again to start it.",
}


def progress(record: Record | None, machine: str, status: str) -> dict[str, Any]:
    """Done of planned steps, the present one and what it waits for.

    ``planned`` is null for a machine whose steps are not known beforehand. Steps that were not
    needed count as done once a later one began.
    """
    steps = STEPS.get(machine, ())
    timeline = [dict(entry) for entry in record.timeline] if record else []
    reached = [steps.index(entry["step"]) for entry in timeline if entry.get("step") in steps]
    if status == "SUCCEEDED":
        done = len(steps) or len(timeline)
    elif steps:
        done = max(reached, default=0)
    else:
        done = max(0, len(timeline) - 1)
    return {
        "done": done,
        "planned": len(steps) or None,
        "step": (record.step if record else "") or None,
        "detail": (record.detail if record else "") or None,
        "timeline": timeline,
    }


def with_waits(
    timeline: Sequence[Mapping[str, str]], waits: Sequence[Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Return the timeline, each step with what it waited for (``waits``: ``detail``, ``at``).

    A wait belongs to the last entry of its step that began before it.
    """
    entries: list[dict[str, Any]] = [{**entry, "waits": []} for entry in timeline]
    for wait in waits:
        began = [
            entry
            for entry in entries
            if entry["step"] == wait["step"] and entry["at"] <= wait["at"]
        ]
        if began and wait["detail"]:
            began[-1]["waits"].append({"detail": wait["detail"], "at": wait["at"]})
    return entries


def status_of(record: Record | None, execution: Execution | None) -> str:
    """Status as Step Functions names it; ``NOT_STARTED`` for what is written down but never ran."""
    if execution is not None:
        return execution.status
    result = record.result if record else ""
    # An operation that did a part of its work has failed, as its execution shows.
    return "FAILED" if result == "PARTIAL" else result or "NOT_STARTED"


def result_of(execution: Execution) -> Any:
    """Return what the execution returned; None when it returned nothing."""
    return _parsed(execution.output)


def failure(status: str, execution: Execution | None) -> dict[str, Any] | None:
    """Name, cause, next step and current state of a failure; None if there is none."""
    if status in {"RUNNING", "PENDING_REDRIVE", "SUCCEEDED"}:
        return None
    error = execution.error if execution else ""
    cause = execution.cause if execution else ""
    found = Failure.read(error, cause)
    if status in {"ABORTED", "TIMED_OUT"}:
        # The error of an aborted execution is free text; its name here is not.
        found = replace(found, name=status, cause=": ".join(filter(None, (error, found.cause))))
    name = found.name or status
    return {
        "name": name,
        "cause": found.cause,
        "nextStep": found.next_step
        or _WITHOUT_NEXT_STEP.get(status)
        or f"See {name} in the runbook.",
        "currentState": found.current_state or None,
    }


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
