"""The rule for functions that slept, and who of ours waits until they are awake."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from lifecycle.adapters.aws import client
from lifecycle.adapters.probe import LambdaProbe

from local.aws.strict.sleeping_functions import (
    NOT_READY,
    PENDING_STATE,
    WAKING_SECONDS,
    Refusal,
    Sleepers,
)
from tests.support.sam import translated
from tools.generate_parameters import ROOT

# The check of health is over in 25 seconds and comes again; a side that it cannot see is unknown.
MACHINES = ("plan", "provision", "scale", "restart", "teardown")


def test_the_first_call_wakes_and_the_calls_of_a_minute_fail() -> None:
    now = 0.0
    sleepers = Sleepers(clock=lambda: now)
    assert sleepers.refusal("probe") == NOT_READY
    assert sleepers.refusal("probe") == PENDING_STATE
    assert sleepers.refusal("seed") == NOT_READY
    now = WAKING_SECONDS - 1
    assert sleepers.refusal("probe") == PENDING_STATE
    now = WAKING_SECONDS
    assert sleepers.refusal("probe") is None


def in_the_vpc() -> set[str]:
    return {
        name
        for name, resource in translated().items()
        if resource["Type"] == "AWS::Lambda::Function" and "VpcConfig" in resource["Properties"]
    }


def tasks() -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Machine, function and retries of each task that calls a function in the VPC."""
    inside = in_the_vpc()
    for machine in MACHINES:
        definition = yaml.safe_load((ROOT / "statemachines" / f"{machine}.asl.yaml").read_text())
        for state in definition["States"].values():
            function = str(state.get("Arguments", {}).get("FunctionName", "")).strip("${}")
            if function in inside:
                yield machine, function, state["Retry"]


def test_the_machines_call_functions_in_the_vpc() -> None:
    assert {(machine, function) for machine, function, _ in tasks()} >= {
        ("provision", "SeedDatabase"),
        ("scale", "ChangeBrokers"),
    }


def is_answered(retries: list[dict[str, Any]]) -> bool:
    """Whether a task with these retries gets past a function that slept.

    With full jitter a pause has any length up to the one that is computed: half of it, on average.
    """
    now, counts = 0.0, [0] * len(retries)
    sleepers = Sleepers(clock=lambda: now)
    while (refusal := sleepers.refusal("function")) is not None:
        error = f"Lambda.{refusal.code}"
        at = next((i for i, one in enumerate(retries) if error in one["ErrorEquals"]), None)
        if at is None or counts[at] >= retries[at].get("MaxAttempts", 3):
            return False
        one = retries[at]
        pause = one.get("IntervalSeconds", 1) * one.get("BackoffRate", 2) ** counts[at]
        pause = min(pause, one.get("MaxDelaySeconds", pause))
        now += pause / (2 if one.get("JitterStrategy") == "FULL" else 1)
        counts[at] += 1
    return True


@pytest.mark.parametrize(
    ("machine", "function", "retries"),
    [pytest.param(*one, id="-".join(one[:2])) for one in tasks()],
)
def test_a_task_waits_until_its_function_is_awake(
    machine: str, function: str, retries: list[dict[str, Any]]
) -> None:
    assert is_answered(retries), f"{machine} does not wait for {function}"


@pytest.mark.xfail(strict=True, raises=ClientError, reason="the question is asked once")
def test_a_question_waits_until_the_probe_is_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    client.cache_clear()
    api = client("lambda", read_timeout=70, attempts=8)
    body = json.dumps({"answer": 1}).encode()

    def refuse(stub: Stubber, refusal: Refusal) -> None:
        stub.add_client_error(
            "invoke", refusal.code, refusal.message, http_status_code=refusal.status
        )

    with Stubber(api) as stub:
        refuse(stub, NOT_READY)
        refuse(stub, PENDING_STATE)
        stub.add_response("invoke", {"Payload": StreamingBody(io.BytesIO(body), len(body))})
        try:
            assert LambdaProbe("probe").ask("brokers", {}) == {"answer": 1}
        finally:
            client.cache_clear()
