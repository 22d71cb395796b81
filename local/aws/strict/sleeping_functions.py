"""A function in the VPC that was idle for weeks fails for a minute when it is invoked.

No instance lives for weeks: writing the instance's `sleeping.json`, ``{"wakingSeconds": 60}``,
simulates them. The file is read for each call, so a test can add and remove it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import lambda_svc
from local.aws.emulator import stepfunctions as engine
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.aws.strict import Strictness

NAME: Final = "sleeping-functions"
WAKING_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Refusal:
    """What Lambda returns instead of invoking."""

    status: int
    code: str
    message: str


# The texts are those of the API reference and of bug reports.
# https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
NOT_READY: Final = Refusal(
    502,
    "ResourceNotReadyException",
    "The function is inactive and its VPC connection is no longer available. Wait for the VPC"
    " connection to reestablish and try again.",
)
PENDING_STATE: Final = Refusal(
    409,
    "ResourceConflictException",
    "The operation cannot be performed at this time. The function is currently in the following"
    " state: Pending",
)


@dataclass
class Sleepers:
    """Functions of an account whose interfaces in the VPC Lambda has taken back: all, at first.

    ``waking_seconds`` is how long Lambda takes to make those of one anew.
    """

    waking_seconds: float = WAKING_SECONDS
    clock: Callable[[], float] = time.monotonic
    awake_at: dict[str, float] = field(default_factory=dict)

    def refusal(self, function: str) -> Refusal | None:
        """Why a call of `function` fails now; the first one wakes it."""
        if function not in self.awake_at:
            self.awake_at[function] = self.clock() + self.waking_seconds
            return NOT_READY
        return PENDING_STATE if self.clock() < self.awake_at[function] else None


@dataclass
class Weeks:
    """The times at which weeks passed in an instance: when its `file` was written."""

    file: Path
    _written: int = 0
    _sleepers: Sleepers = field(default_factory=Sleepers)

    def refusal(self, function: str) -> Refusal | None:
        """Why a call of `function` fails now; None while the file is not there."""
        try:
            text, written = self.file.read_text(), self.file.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if written != self._written:
            waking = float(json.loads(text)["wakingSeconds"])
            self._written, self._sleepers = written, Sleepers(waking)
        return self._sleepers.refusal(function)


def install(strictness: Strictness) -> None:
    """Check before each synchronous invocation, by the API and by Step Functions."""
    weeks = Weeks(strictness.instance.config.sleeping_file)

    def refusal(reference: str) -> Refusal | None:
        _, config, name = lambda_svc.get_base_func_record_for_ref(reference)
        in_vpc = bool(((config or {}).get("VpcConfig") or {}).get("SubnetIds"))
        return weeks.refusal(name) if in_vpc else None

    lambda_svc.invoke = _by_the_api(lambda_svc.invoke, refusal)
    engine.call_lambda = _by_step_functions(engine.call_lambda, refusal)


def _by_the_api(own: Any, refusal: Callable[[str], Refusal | None]) -> Any:
    async def invoke(name: str, event: Any, headers: Any, *rest: Any, **more: Any) -> Any:
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        refused = refusal(name) if kind == "RequestResponse" else None
        if refused is None:
            return await own(name, event, headers, *rest, **more)
        told = {"Content-Type": "application/json", "x-amzn-errortype": refused.code}
        body = {"Type": "User", "Message": refused.message}
        return refused.status, told, json.dumps(body).encode()

    return invoke


def _by_step_functions(own: Any, refusal: Callable[[str], Refusal | None]) -> Any:
    def call(function: str, event: Any) -> Any:
        refused = refusal(function)
        if refused is None:
            return own(function, event)
        raise engine.ExecutionError(
            f"Lambda.{refused.code}",
            f"{refused.message} (Service: Lambda, Status Code: {refused.status})",
        )

    return call


RULE: Final = Rule(
    name=NAME,
    does="Lambda reclaims the network interfaces of a function that was idle for weeks. Its next"
    " invocation fails with ResourceNotReadyException, and invocations within the next minute with"
    " ResourceConflictException. Here, a test triggers the idle state.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html",
    caught="the first operation after some weeks failed at its first call to the brokers or the"
    " database: these errors were not retried for a minute.",
    install=install,
)
