"""Follows one execution of a state machine on the terminal."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from lifecycle.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.component import Instance
    from local.console import Phase, Screen

_POLL_SECONDS = 0.4


class ExecutionFailedError(Exception):
    """The execution did not succeed; the message holds its error and cause."""


def follow(instance: Instance, screen: Screen, execution_arn: str, table: str) -> dict[str, Any]:
    """Show each step until the execution ends; gives its output.

    Steps come from the operation's own record, before it exists from the execution's history.
    Raises ExecutionFailedError.
    """
    states, database = instance.client("stepfunctions"), instance.client("dynamodb")
    *_, named, operation = execution_arn.split(":")
    machine = named.rpartition("-")[2]
    key = {"pk": {"S": f"OPERATION#{machine}#{operation}"}}
    phase: Phase = screen.begin(f"Checks before {machine}")
    worked = False
    try:
        while True:
            execution = states.describe_execution(executionArn=execution_arn)
            item = database.get_item(TableName=table, Key=key).get("Item", {})
            step = item.get("step", {}).get("S") or phase.title
            if step != phase.title:
                screen.end(phase)
                phase = screen.begin(step)
            screen.detail(phase, item.get("detail", {}).get("S") or "")
            if execution["status"] != "RUNNING":
                break
            time.sleep(_POLL_SECONDS)
        worked = execution["status"] == "SUCCEEDED"
    finally:
        screen.end(phase, worked=worked)
    if not worked:
        raise ExecutionFailedError(explain(execution))
    output: dict[str, Any] = json.loads(execution["output"])
    return output


def explain(execution: Mapping[str, Any]) -> str:
    """Return error, cause, next step and current state of an execution that did not succeed."""
    name = execution.get("error") or execution["status"]
    return str(Failure.read(name, execution.get("cause") or ""))
