"""State machines, rules and schedules act only with the permissions of their roles."""

from __future__ import annotations

import contextvars
import logging
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import eventbridge, lambda_svc
from local.aws.emulator import stepfunctions as engine
from local.aws.iam import role_allows, role_trusts
from local.aws.strict import Rule
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from local.aws.strict import Strictness

logger = logging.getLogger(__name__)

_FUNCTION_PREFIX: Final = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:"
_SDK: Final = "arn:aws:states:::aws-sdk:"
# What a call of an AWS API by a machine is authorised as, and on which of its arguments.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
_SDK_ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "sfn:startExecution": ("states:StartExecution", "StateMachineArn"),
    "sfn:startSyncExecution": ("states:StartSyncExecution", "StateMachineArn"),
}
_DELIVERIES: Final[Mapping[str, str]] = {
    "lambda": "lambda:InvokeFunction",
    "states": "states:StartExecution",
}

_role: contextvars.ContextVar[str | None] = contextvars.ContextVar("role", default=None)


def install(_strictness: Strictness) -> None:
    """Check before a machine acts and before an event or a schedule reaches its target."""
    engine.run_execution = _as_the_machine(engine.run_execution)
    engine.call_lambda = _calling(engine.call_lambda)
    engine.invoke_resource = _invoking(engine.invoke_resource)
    engine.run_distributed_map = _mapping(engine.run_distributed_map)
    eventbridge.invoke_target = _delivering(eventbridge.invoke_target)


def _as_the_machine(own: Callable[[str], None]) -> Callable[[str], None]:
    def run(arn: str) -> None:
        execution = engine.executions.get(arn)
        machine = execution and engine.state_machines.get(execution["stateMachineArn"])
        before = _role.set(machine["roleArn"] if machine else None)
        try:
            own(arn)
        finally:
            # A machine that another one started within this thread is over.
            _role.reset(before)

    return run


def _refuse(error: str, action: str, resource: str) -> None:
    """Raise `error` unless the role of the running machine may do `action`."""
    role = _role.get()
    if role is None:
        return
    if not role_trusts(role, "states.amazonaws.com") or not role_allows(role, action, resource):
        raise engine.ExecutionError(
            error,
            f"{role} is not authorized to perform: {action} on resource: {resource}"
            " (Status Code: 403; Error Code: AccessDeniedException)",
        )


def _calling(own: Any) -> Any:
    def call(function: str, event: Any) -> Any:
        arn = function if function.startswith("arn:") else f"{_FUNCTION_PREFIX}{function}"
        _refuse("Lambda.AWSLambdaException", "lambda:InvokeFunction", arn)
        return own(function, event)

    return call


def _invoking(own: Any) -> Any:
    def invoke(resource: str, given: Any) -> Any:
        if resource.startswith(_SDK):
            known = _SDK_ACTIONS.get(resource.removeprefix(_SDK))
            if known is None:
                raise engine.ExecutionError(
                    "States.Runtime",
                    f"the rule {RULE.name} does not know how {resource} is authorised",
                )
            action, argument = known
            _refuse("Sfn.AccessDeniedException", action, str(given[argument]))
        return own(resource, given)

    return invoke


def _mapping(own: Any) -> Any:
    """A distributed map starts its children as executions of the same machine.

    https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
    """

    def run(state: Any, given: Any, effective: Any, iterator: Any, *rest: Any) -> Any:
        execution = rest[0]
        _refuse("States.Permissions", "states:StartExecution", execution["stateMachineArn"])
        return own(state, given, effective, iterator, *rest)

    return run


def _delivering(own: Any) -> Any:
    def invoke(target: Mapping[str, Any], event: Any, source: Mapping[str, Any], *rest: Any) -> Any:
        scheduled = event.get("Source") == "aws.scheduler"
        refused = refusal(target, str(source.get("Arn", "")), scheduled=scheduled)
        if refused:
            logger.warning("not delivered: %s", refused)
            return None
        return own(target, event, source, *rest)

    return invoke


def refusal(target: Mapping[str, Any], source: str, *, scheduled: bool) -> str:
    """Why an event of a rule, or a schedule, does not reach its target; empty when it does."""
    arn = str(target.get("Arn", ""))
    action = _DELIVERIES.get((arn.split(":") + [""] * 3)[2])
    if action is None:
        return ""
    role, service = target.get("RoleArn"), "scheduler" if scheduled else "events"
    if not role and not scheduled and action == "lambda:InvokeFunction":
        base, _, _ = lambda_svc.get_base_func_record_for_ref(arn)
        statements = ((base or {}).get("policy") or {}).get("Statement", [])
        permitted = permits(statements, f"{service}.amazonaws.com", arn, source)
        return "" if permitted else f"the policy of {arn} does not let {source} invoke it"
    if not role or not role_trusts(role, f"{service}.amazonaws.com"):
        return f"{source} has no role that trusts {service}.amazonaws.com for {arn}"
    return "" if role_allows(role, action, arn) else f"{role} may not {action} on {arn}"


def permits(
    statements: Iterable[Mapping[str, Any]], service: str, function: str, source: str
) -> bool:
    """Whether a function's own policy lets a service invoke it for `source`."""
    for one in statements:
        principal = one.get("Principal")
        conditions = one.get("Condition", {})
        sources = conditions.get("ArnLike", {}).get("AWS:SourceArn", "*")
        if (
            principal in ("*", {"Service": service})
            and one.get("Action") in ("lambda:InvokeFunction", "lambda:*")
            and one.get("Resource") == function
            and fnmatchcase(source, sources)
        ):
            return True
    return False


RULE: Final = Rule(
    name="machine-rights",
    does="A state machine acts only with the permissions of its role, also when it starts another"
    " state machine or a distributed map. Scheduler and EventBridge reach a target only through a"
    " role that trusts them and permits it, or through the function's resource policy.",
    source="https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html",
    caught="nothing yet.",
    install=install,
)
