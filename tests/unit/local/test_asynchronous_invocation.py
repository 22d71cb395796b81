"""The rule for functions that nobody waits for, and which of ours have somewhere to fail to."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from local.aws.strict.asynchronous_invocation import dispatch, invoke_config
from tests.support.sam import translated

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:clean-up"
ALIAS = f"{FUNCTION}:live"
OF_ALIAS = {"MaximumRetryAttempts": 2, "DestinationConfig": {"OnFailure": {"Destination": "arn"}}}
OF_FUNCTION = {"MaximumRetryAttempts": 0}


@pytest.mark.parametrize(
    ("configs", "named", "found"),
    [
        ({"live": OF_ALIAS, "": OF_FUNCTION}, ALIAS, OF_ALIAS),
        ({"live": OF_ALIAS, "": OF_FUNCTION}, FUNCTION, OF_FUNCTION),
        ({"$LATEST": OF_FUNCTION}, FUNCTION, OF_FUNCTION),
        ({"": OF_FUNCTION}, ALIAS, {}),
        ({}, FUNCTION, {}),
    ],
)
def test_the_destination_is_that_of_the_alias_that_was_named(
    configs: dict[str, Any], named: str, found: dict[str, Any]
) -> None:
    assert invoke_config({"event_invoke_configs": configs}, named) == found


def test_an_event_is_left_with_lambda_and_its_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    lambda_svc = importlib.import_module("ministack.services.lambda_svc")
    queued: list[tuple[dict[str, Any], Any]] = []
    base = {"event_invoke_configs": {"live": OF_ALIAS}}
    config = {"FunctionName": "clean-up", "Version": "3"}
    for name, answer in (
        ("_get_base_func_record_for_ref", (base, {}, "clean-up")),
        ("_get_func_record_for_ref", (base | {"code_zip": b"3"}, config, "clean-up")),
    ):
        monkeypatch.setattr(lambda_svc, name, lambda _, found=answer: found)
    monkeypatch.setattr(
        lambda_svc,
        "invoke_async_with_retry",
        lambda record, event: queued.append((record, event)),
    )
    dispatch(ALIAS, '{"detail": {}}')
    ((record, event),) = queued
    assert event == {"detail": {}}
    assert (record["config"], record["code_zip"]) == (config, b"3")
    assert record["event_invoke_config"] == OF_ALIAS


def unattended() -> set[str]:
    """Functions that EventBridge invokes by a rule, or Scheduler by its role."""
    resources = translated()
    by_rule = {
        target["Arn"]["Ref"].removesuffix("Aliaslive")
        for resource in resources.values()
        if resource["Type"] == "AWS::Events::Rule"
        for target in resource["Properties"]["Targets"]
    }
    by_schedule = {
        statement["Resource"]["Ref"].removesuffix("Aliaslive")
        for statement in resources["PlanSchedulerRole"]["Properties"]["Policies"][0][
            "PolicyDocument"
        ]["Statement"]
        if statement["Action"] == "lambda:InvokeFunction"
    }
    return by_rule | by_schedule


def test_three_functions_are_invoked_while_nobody_waits() -> None:
    assert unattended() == {"CleanUpOperation", "DiscardPlan", "HandleRetirement"}


def destinations() -> dict[str, Any]:
    """Where each function fails to, by its logical id."""
    return {
        resource["Properties"]["FunctionName"]["Ref"]: resource["Properties"]["DestinationConfig"]
        for resource in translated().values()
        if resource["Type"] == "AWS::Lambda::EventInvokeConfig"
    }


def test_a_notice_that_fails_three_times_goes_to_the_dead_letters() -> None:
    function = translated()["HandleRetirement"]["Properties"]
    queue = {"Fn::GetAtt": ["CleanUpDeadLetters", "Arn"]}
    assert function["DeadLetterConfig"] == {"TargetArn": queue}


@pytest.mark.xfail(strict=True, raises=KeyError, reason="an event that fails three times is gone")
@pytest.mark.parametrize("function", ["CleanUpOperation", "DiscardPlan"])
def test_what_fails_three_times_goes_to_a_destination(function: str) -> None:
    assert "OnFailure" in destinations()[function]
