"""A function that an event or a schedule invokes is tried three times, and then it is over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import eventbridge, lambda_svc
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness


NAME: Final = "asynchronous-invocation"


def install(strictness: Strictness) -> None:
    """Let EventBridge and Scheduler invoke as Lambda's own API does with `Event`."""
    own = eventbridge.dispatch_to_lambda

    def chosen(function: str, payload: str) -> None:
        (dispatch if strictness.on(NAME) else own)(function, payload)

    eventbridge.dispatch_to_lambda = chosen


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


def invoke_config(base: Mapping[str, Any], function: str) -> Mapping[str, Any]:
    """What is set for asynchronous invocations of exactly this version or alias."""
    # arn:aws:lambda:<region>:<account>:function:<name>[:<qualifier>]
    parts = function.split(":")
    names = parts[7:8] or ["$LATEST", ""]
    configs: Mapping[str, Any] = base.get("event_invoke_configs") or {}
    return next((configs[name] for name in names if name in configs), {})


RULE: Final = Rule(
    name=NAME,
    does="A function that EventBridge or Scheduler invokes is tried three times; then the event"
    " goes to the destination for failures of the version or alias that was named, and without one"
    " it is gone. The dead-letter queue of the rule or schedule holds only what could not be handed"
    " over to Lambda.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html",
    caught="CleanUpOperation and DiscardPlan have no destination: an ended operation's lock stays,"
    " an expired plan stays, and no alarm tells it.",
    install=install,
)
