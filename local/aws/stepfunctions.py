"""Differences of the emulator's Step Functions from AWS that matter to the application."""

from __future__ import annotations

import contextvars
import json
import threading
from typing import Any

from local.aws import redrive
from local.aws.emulator import responses
from local.aws.emulator import stepfunctions as engine


def install() -> None:
    """Replace the functions that the engine looks up by name."""
    redrive.install()
    engine.start_execution = _idempotent(engine.start_execution)
    engine.run_execution = _with_timeout(engine.run_execution)
    engine.fail_execution = _only_while_running(engine.fail_execution)
    engine.error_matches = _terminal_errors_are_not_known(engine.error_matches)


def _idempotent(own: Any) -> Any:
    """The same name and input while the first runs is a success, as on AWS.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """

    def start(data: dict[str, Any]) -> Any:
        machine = engine.resolve_state_machine_arn(data.get("stateMachineArn", ""))
        name = data.get("name")
        if machine and name:
            arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
            execution = engine.executions.get(arn)
            if (
                execution
                and execution["status"] == "RUNNING"
                and execution["input"] == data.get("input", "{}")
            ):
                return responses.json_response(
                    {"executionArn": arn, "startDate": execution["startDate"]}
                )
        return own(data)

    return start


def _with_timeout(own: Any) -> Any:
    """Enforce the machine's own `TimeoutSeconds`; the engine only knows those of tasks."""

    def run(arn: str) -> None:
        execution = engine.executions.get(arn)
        machine = execution and engine.state_machines.get(execution["stateMachineArn"])
        try:
            seconds = json.loads(machine["definition"]).get("TimeoutSeconds") if machine else None
        except ValueError:
            seconds = None
        if seconds is None:
            own(arn)
            return
        # The timer's thread needs this one's account and region.
        timer = threading.Timer(
            float(seconds), contextvars.copy_context().run, (_time_out, execution)
        )
        timer.daemon = True
        timer.start()
        try:
            own(arn)
        finally:
            timer.cancel()

    return run


def _time_out(execution: dict[str, Any]) -> None:
    if execution["status"] != "RUNNING":
        return
    execution |= {"status": "TIMED_OUT", "stopDate": responses.now_iso(), "error": "States.Timeout"}
    engine.add_event(
        execution,
        "ExecutionTimedOut",
        {"executionTimedOutEventDetails": {"error": "States.Timeout"}},
    )
    engine.emit_execution_status_event(execution)


def _only_while_running(own: Any) -> Any:
    """A task that fails after its execution was aborted or timed out does not change that."""

    def fail(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            own(execution, error, cause)

    return fail


def _terminal_errors_are_not_known(own: Any) -> Any:
    """No wildcard retries or catches an error that ends the execution; only its name does.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """

    def matches(names: list[str], error: str) -> bool:
        if error in {"States.DataLimitExceeded", "States.Runtime"}:
            return error in names
        return bool(own(names, error))

    return matches
