"""The one logger, and the wrapper that every Lambda handler wears."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from lifecycle.errors import AwsRefused, AwsUnavailable, Failure, LifecycleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

Event = dict[str, Any]
type Handler = Callable[[Event, LambdaContext], Event]

logger = Logger(service="camunda-ecs-lifecycle", use_rfc3339=True)


def _correlation(event: Mapping[str, Any]) -> dict[str, str]:
    operation = event.get("operation")
    if not isinstance(operation, dict):
        return {}
    return {
        key: str(operation[name])
        for key, name in (("operation_id", "id"), ("cluster", "cluster"))
        if name in operation
    }


def _log(error: LifecycleError) -> None:
    logger.warning(
        error.message, extra={"error": type(error).__name__, "next_step": error.next_step}
    )


# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_TRANSIENT = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


def of_aws(error: Exception) -> LifecycleError | None:
    """Translate botocore's errors; None for any other. It is recognised without loading it."""
    if "botocore" not in {kind.__module__.split(".")[0] for kind in type(error).__mro__}:
        return None
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return AwsUnavailable(f"AWS could not be reached: {error}")
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _TRANSIENT or status >= 500:
        return AwsUnavailable(str(error))
    return AwsRefused(str(error))


def _written(error: LifecycleError) -> None:
    """Set the error's message to its JSON form: Lambda returns ``str(error)``."""
    error.args = (Failure.of(error).to_cause(),)


def entry_point(
    handler: Callable[[Event, LambdaContext], Event],
) -> Callable[[Event, LambdaContext], Event]:
    """Wrap a handler: JSON logs that carry operation and cluster, one line per known error.

    Input and output are never logged: an event may hold what a user typed.
    Errors are raised on, because state machines catch them by class name; their message is
    ``Failure``'s JSON then.
    """

    @functools.wraps(handler)
    def wrapped(event: Event, context: LambdaContext) -> Event:
        logger.append_keys(**_correlation(event))
        try:
            return handler(event, context)
        except LifecycleError as error:
            _log(error)
            _written(error)
            raise
        except Exception as error:
            translated = of_aws(error)
            if translated is None:
                logger.exception("Unexpected error")
                raise
            _log(translated)
            _written(translated)
            raise translated from error

    injected: Handler = logger.inject_lambda_context(clear_state=True, log_event=False)(wrapped)
    return injected
