"""The rule for functions that slept, and who of ours waits until they are awake."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from lifecycle.adapters.aws.lambda_probe import LambdaProbe
from lifecycle.adapters.aws.session import client
from lifecycle.errors import ProbeAsleep

from local.aws.strict.sleeping_functions import (
    NOT_READY,
    PENDING_STATE,
    WAKING_SECONDS,
    Refusal,
    Sleepers,
    Weeks,
)
from tests.support.sam import translated
from tools.generate_parameters import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The check of health is over in 25 seconds and comes again; a side that it cannot see is unknown.
MACHINES = (
    "plan",
    "provision",
    "scale",
    "restart",
    "rotate",
    "manage",
    "backup",
    "restore",
    "rehearse",
    "teardown",
)


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
        for function, retries in calls(machine):
            if function in inside:
                yield machine, function, retries


def calls(machine: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Function and retries of each task that calls one."""
    definition = yaml.safe_load((ROOT / "statemachines" / f"{machine}.asl.yaml").read_text())
    for state in definition["States"].values():
        if "FunctionName" in state.get("Arguments", {}):
            yield state["Arguments"]["FunctionName"].strip("${}"), state["Retry"]


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


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Lambda's API, as the probe's adapter asks it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    client.cache_clear()
    with Stubber(client("lambda", read_timeout=70, attempts=8)) as stub:
        yield stub
    client.cache_clear()


@pytest.mark.parametrize(
    "refusal",
    [
        NOT_READY,
        PENDING_STATE,
        Refusal(502, "ENINotReadyException", "The network interface is not ready."),
        Refusal(502, "EC2ThrottledException", "EC2 throttled Lambda."),
    ],
    ids=lambda refusal: refusal.code,
)
def test_a_probe_that_slept_is_told_by_name(asked: Stubber, refusal: Refusal) -> None:
    asked.add_client_error("invoke", refusal.code, refusal.message, http_status_code=refusal.status)
    with pytest.raises(ProbeAsleep, match=refusal.code):
        LambdaProbe("probe").query("brokers", {})
    body = json.dumps({"answer": 1}).encode()
    asked.add_response("invoke", {"Payload": StreamingBody(io.BytesIO(body), len(body))})
    assert LambdaProbe("probe").query("brokers", {}) == {"answer": 1}


def test_another_refusal_is_no_sleep(asked: Stubber) -> None:
    asked.add_client_error("invoke", "AccessDeniedException", "no", http_status_code=403)
    with pytest.raises(ClientError, match="AccessDenied"):
        LambdaProbe("probe").query("brokers", {})


def asking() -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Machine, function and retries of each task whose function asks the probe."""
    functions = {
        name
        for name, resource in translated().items()
        if resource["Type"] == "AWS::Lambda::Function"
        and "PROBE_FUNCTION" in resource["Properties"].get("Environment", {}).get("Variables", {})
    }
    for machine in MACHINES:
        for function, retries in calls(machine):
            if function in functions:
                yield machine, function, retries


def test_what_waits_for_the_probe_waits_for_three_minutes() -> None:
    assert {function for _, function, _ in asking()} == {
        "ValidateRequest",
        "PreflightCluster",
        "PlanScale",
        "RollServices",
        "FollowStart",
        "VerifyCluster",
        "ObserveScaling",
        "RestartService",
        "ValidateRestore",
        "TakeBackup",
        "DeleteBackups",
        "RehearseCluster",
    }
    for machine, function, retries in asking():
        (one,) = [one for one in retries if "ProbeAsleep" in one["ErrorEquals"]]
        assert "JitterStrategy" not in one, "it would halve the time"
        pauses = [
            min(one["IntervalSeconds"] * one["BackoffRate"] ** n, one["MaxDelaySeconds"])
            for n in range(one["MaxAttempts"])
        ]
        assert sum(pauses) >= 180, f"{machine} does not wait for the probe in {function}"


def test_weeks_pass_when_the_file_is_written(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path / "sleeping.json")
    assert weeks.refusal("probe") is None
    weeks.file.write_text('{"wakingSeconds": 0}')
    assert [weeks.refusal("probe"), weeks.refusal("probe")] == [NOT_READY, None]
    weeks.file.write_text('{"wakingSeconds": 60}')
    os.utime(weeks.file, ns=(1, 1))
    assert [weeks.refusal("probe"), weeks.refusal("probe")] == [NOT_READY, PENDING_STATE]
    weeks.file.unlink()
    assert weeks.refusal("probe") is None
