"""An invocation by an event or a schedule is attempted three times, then the event is dropped."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import eventbridge, lambda_svc, sqs
from local.aws.iam import role_allows
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness


NAME: Final = "asynchronous-invocation"
_TOLD: Final = 1024


def install(_: Strictness) -> None:
    """Let EventBridge and Scheduler invoke as Lambda's own API does with `Event`."""
    eventbridge.dispatch_to_lambda = dispatch
    lambda_svc.route_async_failure = as_it_is(lambda_svc.route_async_failure)


def dispatch(function: str, payload: str) -> None:
    """Invoke a function by its ARN; returns at once.

    The emulator's own queue of such invocations knows tries and destinations; it waits seconds
    between two tries where AWS waits minutes.
    """
    base, _, _ = lambda_svc.get_base_func_record_for_ref(function)
    record, config, _ = lambda_svc.get_func_record_for_ref(function)
    if not (base and record and config):
        return  # EventBridge counts a failed invocation; there is nothing to invoke
    own = invoke_config(base, function)
    executed = lambda_svc.execution_record_for_config(record, config)
    lambda_svc.invoke_async_with_retry(
        executed | {"event_invoke_config": own, "event_invoke_configs": {}}, json.loads(payload)
    )


def as_it_is(own: Any) -> Any:
    """A dead-letter queue gets the event itself; the emulator's gets what a destination gets."""

    def route(target: str, function: str, event: Any, result: Mapping[str, Any]) -> None:
        config = lambda_svc.functions[function]["config"]
        queue = sqs.queue_by_arn(target)
        if queue is None or target != config.get("DeadLetterConfig", {}).get("TargetArn"):
            own(target, function, event, result)
            return
        if not role_allows(config["Role"], "sqs:SendMessage", target):
            return  # lost; Lambda counts it as DeadLetterErrors
        message = {
            "QueueUrl": queue["url"],
            "MessageBody": json.dumps(event),
            "MessageAttributes": attributes(result.get("body")),
        }
        sqs.act_send_message(message, queue["url"])

    return route


def attributes(error: Any) -> Mapping[str, Any]:
    """Attributes of a message in a dead-letter queue.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    said = str(error.get("errorMessage", "")) if isinstance(error, dict) else str(error)
    return {
        "RequestID": {"DataType": "String", "StringValue": str(uuid.uuid4())},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": said[:_TOLD] or "no message"},
    }


def invoke_config(base: Mapping[str, Any], function: str) -> Mapping[str, Any]:
    """What is set for asynchronous invocations of exactly this version or alias."""
    # arn:aws:lambda:<region>:<account>:function:<name>[:<qualifier>]
    parts = function.split(":")
    names = parts[7:8] or ["$LATEST", ""]
    configs: Mapping[str, Any] = base.get("event_invoke_configs") or {}
    return next((configs[name] for name in names if name in configs), {})


RULE: Final = Rule(
    name=NAME,
    does="Lambda attempts an invocation by EventBridge or Scheduler three times. Then it sends the"
    " event to the failure destination of the invoked version or alias, or to the version's"
    " dead-letter queue, with the function's role; without either, or without the right, the event"
    " is lost. The dead-letter queue of the rule or schedule holds only events that could not be"
    " handed over to Lambda.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html",
    caught="CleanUpOperation and DiscardPlan had no queue: the lock of an ended operation and an"
    " expired plan remained, and no alarm fired.",
    install=install,
)
