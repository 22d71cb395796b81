"""The rule for functions that nobody waits for, and which of ours have somewhere to fail to."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from local.aws.strict import asynchronous_invocation
from local.aws.strict.asynchronous_invocation import as_it_is, dispatch, invoke_config
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


# Each leaves work undone when it fails for good. Messages that were not sent have their own queue.
WORK = ("CleanUpOperation", "DiscardPlan", "HandleRetirement", "CloseWays")


def unattended() -> set[str]:
    """Functions that EventBridge invokes by a rule, or Scheduler by its role."""
    resources = translated()
    by_rule = {
        (target["Arn"].get("Ref") or target["Arn"]["Fn::GetAtt"][0]).removesuffix("Aliaslive")
        for resource in resources.values()
        if resource["Type"] == "AWS::Events::Rule"
        for target in resource["Properties"]["Targets"]
    }
    by_schedule = {
        statement["Resource"]["Fn::Sub"].rpartition("-")[0].rpartition("-")[2]
        for role in ("PlanSchedulerRole", "MaintenanceSchedulerRole")
        for statement in resources[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        if statement["Action"] == "lambda:InvokeFunction"
    }
    return by_rule | by_schedule


def test_four_functions_are_invoked_while_nobody_waits() -> None:
    assert unattended() == {*WORK, "SendMessage"}


@pytest.mark.parametrize("function", WORK)
def test_what_fails_three_times_goes_to_the_dead_letters(function: str) -> None:
    resources = translated()
    queue = {"Fn::GetAtt": ["CleanUpDeadLetters", "Arn"]}
    assert resources[function]["Properties"]["DeadLetterConfig"] == {"TargetArn": queue}
    role = resources[f"{function}Role"]["Properties"]
    granted = [
        statement["Resource"]
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "sqs:SendMessage"
    ]
    assert granted == [queue]


def test_a_message_that_was_not_sent_is_a_dead_letter_of_its_own() -> None:
    queue = {"Fn::GetAtt": ["MessageDeadLetters", "Arn"]}
    properties = translated()["SendMessage"]["Properties"]
    assert properties["DeadLetterConfig"] == {"TargetArn": queue}


def test_the_alarm_of_the_dead_letters_fires_with_the_first_one() -> None:
    alarm = translated()["CleanUpsUndelivered"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
    )
    (dimension,) = alarm["Dimensions"]
    assert dimension["Value"] == {"Fn::GetAtt": ["CleanUpDeadLetters", "QueueName"]}
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert int(alarm["EvaluationPeriods"]) == 1
    assert alarm["AlarmActions"]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_dead_letter_is_the_event_itself_and_a_destination_gets_a_record(
    monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    lambda_svc = importlib.import_module("ministack.services.lambda_svc")
    sqs = importlib.import_module("ministack.services.sqs")
    sent, routed = list[Any](), list[Any]()
    config = {"DeadLetterConfig": {"TargetArn": "arn:dead-letters"}, "Role": "arn:role"}
    monkeypatch.setattr(asynchronous_invocation, "role_allows", lambda *_: allowed)
    monkeypatch.setattr(lambda_svc, "_functions", {"clean-up": {"config": config}})
    monkeypatch.setattr(sqs, "_queue_by_arn", lambda arn: {"url": f"url of {arn}"})
    monkeypatch.setattr(sqs, "_act_send_message", lambda message, _: sent.append(message))
    route = as_it_is(lambda *given: routed.append(given))
    failed = {"error": True, "body": {"errorMessage": "x" * 2000}}
    route("arn:dead-letters", "clean-up", {"detail": {}}, failed)
    route("arn:destination", "clean-up", {"detail": {}}, failed)
    assert [given[0] for given in routed] == ["arn:destination"]
    if not allowed:
        assert sent == []
        return
    (message,) = sent
    assert message["QueueUrl"] == "url of arn:dead-letters"
    assert message["MessageBody"] == '{"detail": {}}'
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "x" * 1024
