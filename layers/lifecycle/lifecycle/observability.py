"""The one logger, and the wrapper that every Lambda handler wears."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from lifecycle import __version__
from lifecycle.errors import AwsRefused, AwsUnavailable, Failure, LifecycleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

Event = dict[str, Any]


@dataclass
class Invocation:
    """One call of a function: ``remaining`` gives the seconds that Lambda lets it run.

    ``until`` (epoch seconds) is set by the first who notes by when it has ended, 0 before. What is
    in ``at_return`` is called when the handler of an operation's function has returned or raised.
    """

    token: str
    remaining: Callable[[], float]
    until: int = 0
    at_return: dict[object, Callable[[], None]] = field(default_factory=dict)


_INVOCATION: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


def invocation() -> Invocation | None:
    """Return the call that is being handled; None outside of an entry point."""
    return _INVOCATION.get()


type Handler = Callable[[Event, LambdaContext], Event]

logger = Logger(service="camunda-ecs-lifecycle", use_rfc3339=True, release=__version__)


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


def _returned(current: Invocation) -> None:
    """Note that this call acts no more. Where that fails, its deadline holds."""
    for settle in current.at_return.values():
        try:
            settle()
        except Exception as error:  # noqa: BLE001 - the handler's own result counts
            logger.warning("The end of the function was not noted", extra={"error": str(error)})


def entry_point(
    handler: Callable[[Event, LambdaContext], Event],
) -> Callable[[Event, LambdaContext], Event]:
    """Wrap a handler: JSON logs that carry operation and cluster, one line per known error.

    Input and output are never logged: an event may hold what a user typed.
    A function of an operation that took or renewed a lock notes on return that it acts no more.
    Errors are raised on, because state machines catch them by class name; their message is
    ``Failure``'s JSON then.
    """

    @functools.wraps(handler)
    def wrapped(event: Event, context: LambdaContext) -> Event:
        logger.append_keys(**_correlation(event))
        current = Invocation(
            context.aws_request_id, lambda: context.get_remaining_time_in_millis() / 1000
        )
        begun = _INVOCATION.set(current)
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
        finally:
            # Others release what they took, or leave their deadline until the execution runs.
            if isinstance(event.get("operation"), dict):
                _returned(current)
            _INVOCATION.reset(begun)

    injected: Handler = logger.inject_lambda_context(clear_state=True, log_event=False)(wrapped)
    return injected
