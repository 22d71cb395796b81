"""RedriveExecution, and its date in ListExecutions, which the emulator's Step Functions lacks.

An execution of a standard machine that failed, was aborted or timed out goes on from the state in
which it ended, with that state's input and the variables that it had when it was entered; the
machine's time-out begins anew. A Fail state is entered again and fails again.
Source: https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html and
https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html
"""

from __future__ import annotations

import contextvars
import copy
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from local.aws.emulator import responses
from local.aws.emulator import stepfunctions as engine

REDRIVABLE: Final = frozenset({"FAILED", "ABORTED", "TIMED_OUT"})
PERIOD: Final = timedelta(days=14)
MOST_REDRIVES: Final = 1000
MOST_EVENTS: Final = 24_999
_EXECUTORS: Final = ("pass", "task", "choice", "wait", "parallel", "map")
_AT: Final = "redriveFrom"


def install() -> None:
    """Keep what a redrive needs at each state, and serve the action."""
    for kind in _EXECUTORS:
        name = f"execute_{kind}"
        setattr(engine, name, _kept(getattr(engine, name)))
    engine.run_execution = _redriving(engine.run_execution)
    engine.handle_request = _with_redrive(engine.handle_request)
    engine.start_execution = _with_definition(engine.start_execution)
    engine.list_executions = _with_dates(engine.list_executions)


def refusal(execution: dict[str, Any], machine: dict[str, Any] | None, now: datetime) -> str:
    """Return why an execution is not redrivable; empty if it is."""
    if machine is None or machine.get("type", "STANDARD") != "STANDARD":
        return "Execution is not of a standard state machine and cannot be redriven"
    status = execution["status"]
    if status not in REDRIVABLE:
        return f"Execution is {status} and cannot be redriven"
    ended = datetime.fromisoformat(str(execution["stopDate"]).replace("Z", "+00:00"))
    if ended.tzinfo is None:
        ended = ended.replace(tzinfo=UTC)
    if now - ended > PERIOD:
        return "Execution has exceeded the redrivable period of 14 days"
    if len(execution["events"]) >= MOST_EVENTS:
        return "Execution event history count exceeds 24,999 events"
    if execution.get("redriveCount", 0) >= MOST_REDRIVES:
        return "Execution has been redriven 1,000 times"
    return ""


def redrive(data: dict[str, Any]) -> Any:
    """Serve RedriveExecution: the same token again redrives once."""
    arn = data.get("executionArn")
    execution = engine.executions.get(arn)
    if not execution:
        return responses.error_response_json(
            "ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400
        )
    token = data.get("clientToken")
    if token and execution.get("redriveToken") == token:
        return responses.json_response({"redriveDate": execution["redriveDate"]})
    machine = engine.state_machines.get(execution["stateMachineArn"])
    wrong = refusal(execution, machine, datetime.now(UTC))
    if wrong:
        return responses.error_response_json("ExecutionNotRedrivable", wrong, 400)
    now = responses.now_iso()
    # A thread of the first run that still waits for its function holds the former object, which
    # has ended: it does nothing more.
    again = copy.deepcopy(execution) | {
        "status": "RUNNING",
        "stopDate": None,
        "output": None,
        "error": None,
        "cause": None,
        "redriveDate": now,
        "redriveCount": execution.get("redriveCount", 0) + 1,
        "redriveToken": token,
    }
    engine.executions[arn] = again
    details = {"redriveCount": again["redriveCount"]}
    engine.add_event(again, "ExecutionRedriven", {"executionRedrivenEventDetails": details})
    engine.emit_execution_status_event(again)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_run, arn), daemon=True).start()
    return responses.json_response({"redriveDate": now})


def _run(arn: str) -> None:
    # By name: time-outs and rights of the machine stand around it.
    engine.run_execution(arn)


def _with_redrive(own: Any) -> Any:
    async def handle(method: str, path: str, headers: Any, body: Any, query: Any) -> Any:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action == "RedriveExecution":
            return engine.finalize_response(redrive(json.loads(body or "{}")))
        return await own(method, path, headers, body, query)

    return handle


def _with_dates(own: Any) -> Any:
    """Each redriven execution is listed with the date of its last redrive, and its first start.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_ExecutionListItem.html
    """

    def listed(data: dict[str, Any]) -> Any:
        status, headers, body = own(data)
        answer = json.loads(body)
        for one in answer.get("executions", []):
            execution = engine.executions.get(one["executionArn"]) or {}
            if execution.get("redriveDate"):
                one["redriveDate"] = execution["redriveDate"]
        return status, headers, json.dumps(answer).encode()

    return listed


def _with_definition(own: Any) -> Any:
    """A redrive runs the definition with which the execution was started."""

    def start(data: dict[str, Any]) -> Any:
        answer = own(data)
        arn = json.loads(answer[2]).get("executionArn")
        execution = engine.executions.get(arn) if arn else None
        machine = execution and engine.state_machines.get(execution["stateMachineArn"])
        if execution and machine:
            execution.setdefault("definition", machine["definition"])
        return answer

    return start


def _kept(own: Any) -> Any:
    """Note state, input and variables with which a state is entered."""

    def execute(state: dict[str, Any], given: Any, *rest: Any) -> Any:
        context = rest[-1]
        execution = engine.executions.get(context["Execution"]["Id"]) if context else None
        if execution is not None and execution["status"] == "RUNNING" and "State" in context:
            execution[_AT] = {
                "name": context["State"]["Name"],
                "input": copy.deepcopy(given),
                "variables": copy.deepcopy(context.get("variables", {})),
            }
        return own(state, given, *rest)

    return execute


def _redriving(own: Any) -> Any:
    def run(arn: str) -> None:
        execution = engine.executions.get(arn)
        if execution is None or not execution.get("redriveCount"):
            own(arn)
            return
        try:
            _go_on(execution)
        except engine.ExecutionError as error:
            engine.fail_execution(execution, error.error, error.cause)

    return run


def _go_on(execution: dict[str, Any]) -> None:
    """Walk the states from where the execution ended, as the engine walks them from the first."""
    machine = engine.state_machines[execution["stateMachineArn"]]
    definition = json.loads(execution.get("definition") or machine["definition"])
    given = json.loads(execution["input"])
    start = {"name": definition["StartAt"], "input": given, "variables": {}}
    kept = execution.get(_AT) or start
    entered = [e for e in execution["events"] if e["type"] == "FailStateEntered"]
    name, current = kept["name"], kept["input"]
    if entered and entered[-1]["id"] == _last_entered(execution):
        name = entered[-1]["stateEnteredEventDetails"]["name"]
    context = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": execution["executionArn"],
            "Input": given,
            "Name": execution["name"],
            "StartTime": execution["startDate"],
            "RedriveCount": execution["redriveCount"],
            "RedriveTime": execution["redriveDate"],
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine["name"]},
        "variables": copy.deepcopy(kept["variables"]),
    }
    while name and execution["status"] == "RUNNING":
        state = definition["States"][name]
        kind = state["Type"]
        context["State"] = {"Name": name, "EnteredTime": responses.now_iso(), "RetryCount": 0}
        details = {"name": name, "input": json.dumps(current)}
        engine.add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": details})
        if kind == "Fail":
            raise engine.ExecutionError(*engine.fail_state_error(state, current, context))
        following = None
        if kind != "Succeed":
            execute = getattr(engine, f"execute_{kind.lower()}")
            rest = (execution, context) if kind in {"Task", "Parallel", "Map"} else (context,)
            current, following = execute(state, current, *rest)
        details = {"name": name, "output": json.dumps(current)}
        engine.add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": details})
        name = following
    if execution["status"] == "RUNNING":
        output = json.dumps(current)
        execution |= {"status": "SUCCEEDED", "output": output, "stopDate": responses.now_iso()}
        ended = {"executionSucceededEventDetails": {"output": output}}
        engine.add_event(execution, "ExecutionSucceeded", ended)
        engine.emit_execution_status_event(execution)


def _last_entered(execution: dict[str, Any]) -> int:
    return max(
        (e["id"] for e in execution["events"] if e["type"].endswith("StateEntered")), default=0
    )
