"""State transitions of one execution, and the time it adds to its waits.

``python -m benchmarks.transitions <execution ARN>`` with the environment of the aws CLI, against
AWS or an instance that ``make up`` left running. Time in Wait states and between a call that failed
and the next one is what the machine was told to wait (a grant settles); all other time is what it
adds: functions, their cold starts, and Step Functions itself.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import Any

import boto3

from benchmarks.artifacts import write

FIXED, PER_POLL = 20, 3
ADDED_SECONDS = 5


def main() -> None:
    """Read the history, add up, write."""
    (arn,) = sys.argv[1:]
    api = boto3.client("stepfunctions")
    pages = api.get_paginator("get_execution_history").paginate(executionArn=arn)
    events: list[Any] = [event for page in pages for event in page["events"]]
    visits: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    waits: set[str] = set()
    entered = failed = None
    pauses = 0.0
    for event in events:
        kind = event["type"]
        if kind in {"TaskFailed", "TaskTimedOut"}:
            failed = event["timestamp"]
        elif failed is not None:
            if kind == "TaskScheduled":
                pauses += (event["timestamp"] - failed).total_seconds()
            failed = None
        if kind.endswith("StateEntered"):
            name = event["stateEnteredEventDetails"]["name"]
            visits[name] += 1
            entered = event["timestamp"]
            if kind == "WaitStateEntered":
                waits.add(name)
        elif kind.endswith("StateExited") and entered is not None:
            name = event["stateExitedEventDetails"]["name"]
            seconds[name] += (event["timestamp"] - entered).total_seconds()
    total = (events[-1]["timestamp"] - events[0]["timestamp"]).total_seconds()
    waited = sum(seconds[name] for name in waits) + pauses
    polls = sum(visits[name] for name in waits)
    transitions = sum(visits.values())
    figures = {
        "machine": arn.split(":")[6],
        "transitions": transitions,
        "polls": polls,
        "allowed": FIXED + PER_POLL * polls,
        "totalSeconds": round(total, 1),
        "waitedSeconds": round(waited, 1),
        "ofThatBeforeRetries": round(pauses, 1),
        "addedSeconds": round(total - waited, 1),
        "states": {
            name: {"visits": visits[name], "seconds": round(seconds[name], 2)} for name in visits
        },
    }
    rows = "".join(f"| {name} | {visits[name]} | {seconds[name]:.2f} |\n" for name in visits)
    table = (
        f"{transitions} transitions with {polls} polls (at most {FIXED} + {PER_POLL} per poll ="
        f" {FIXED + PER_POLL * polls}). {total:.1f} s in all, {waited:.1f} s waited"
        f" ({pauses:.1f} s of that before retries),"
        f" {total - waited:.1f} s added (at most {ADDED_SECONDS} s on AWS, warm).\n\n"
        f"| state | visits | seconds |\n|---|---|---|\n{rows}"
    )
    write(f"transitions-{figures['machine']}", figures, table)


if __name__ == "__main__":
    main()
