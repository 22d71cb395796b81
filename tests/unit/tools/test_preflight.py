from __future__ import annotations

import json
import re
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from local.aws.strict.quota_values import ASKED_WITH, quota
from tools.preflight import (
    POLICY,
    QUOTAS,
    Check,
    Result,
    _principal,
    check_permissions,
    check_quota,
    check_stack,
    check_stack_name,
    check_zones,
    main,
    needed_actions,
    overall,
    read_quota,
)


def test_three_zones_are_needed() -> None:
    assert check_zones(["a", "b", "c"]).result is Result.PASS
    too_few = check_zones(["a", "b"])
    assert too_few.result is Result.FAIL
    assert too_few.remedy


@pytest.mark.parametrize(
    ("used", "needed", "result"), [(2, 3, Result.PASS), (3, 3, Result.FAIL), (5, 0, Result.PASS)]
)
def test_a_quota_must_leave_room(used: int, needed: int, result: Result) -> None:
    check = check_quota("x", used=used, quota=5.0, needed=needed, remedy="Raise it.")
    assert check.result is result
    assert bool(check.remedy) == (result is Result.FAIL)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (quota("ec2", "L-0263D0A3", asked=True), 5.0),
        (quota("ec2", "L-0263D0A3", asked=True) | {"Value": 0.0}, 0.0),
        (quota("rds", "L-952B80B8", asked=False), None),
    ],
)
def test_a_quota_is_read_only_where_it_has_a_value(
    answer: dict[str, Any], value: float | None
) -> None:
    api = boto3.client(
        "service-quotas",
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    named = answer["ServiceCode"], answer["QuotaCode"]
    with Stubber(api) as stub:
        stub.add_response("get_service_quota", {"Quota": answer})
        assert read_quota(api, *named) == value
        stub.add_client_error("get_service_quota", "AccessDeniedException")
        assert read_quota(api, *named) is None


def test_who_deploys_may_ask_the_services_whose_quotas_are_read() -> None:
    """Those of EC2 need no more than the right to read a quota."""
    asked = {ASKED_WITH[service] for service, _ in QUOTAS.values() if service in ASKED_WITH}
    assert asked <= set(needed_actions(json.loads(POLICY.read_text())))


def test_a_quota_that_cannot_be_read_is_a_warning() -> None:
    check = check_quota("x", used=0, quota=None, needed=1, remedy="Raise it.")
    assert check.result is Result.WARN
    assert "servicequotas:GetServiceQuota" in check.remedy


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (None, Result.PASS),
        ("CREATE_COMPLETE", Result.PASS),
        ("UPDATE_ROLLBACK_COMPLETE", Result.PASS),
        ("UPDATE_IN_PROGRESS", Result.FAIL),
        ("ROLLBACK_COMPLETE", Result.FAIL),
        ("UPDATE_ROLLBACK_FAILED", Result.FAIL),
    ],
)
def test_a_stack_state_that_needs_a_decision_fails(status: str | None, result: Result) -> None:
    check = check_stack("camunda-lifecycle", status)
    assert check.result is result
    assert bool(check.remedy) == (result is Result.FAIL)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("camunda-lifecycle", Result.PASS),
        ("c" * 32, Result.PASS),
        ("c" * 33, Result.FAIL),
        ("Camunda-Lifecycle", Result.FAIL),
        ("camunda_lifecycle", Result.FAIL),
        ("1camunda", Result.FAIL),
    ],
)
def test_the_control_stack_has_a_name_that_policies_match(name: str, result: Result) -> None:
    check = check_stack_name(name)
    assert check.result is result
    assert name in check.seen


def test_the_name_is_checked_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    assert main(["--stack", "Camunda"]) == 1
    assert "FAIL  stack name  Camunda" in capsys.readouterr().out


def test_denied_actions_are_named_but_not_endlessly() -> None:
    assert check_permissions([]).result is Result.PASS
    denied = [f"ec2:Action{n}" for n in range(12)]
    assert "and 4 more" in check_permissions(denied).seen


def test_the_simulator_gets_whole_action_names() -> None:
    actions = needed_actions(json.loads(POLICY.read_text()))
    assert "lambda:CreateFunction" in actions
    assert all(re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9]+", action) for action in actions)


def test_a_session_is_simulated_as_its_role() -> None:
    assert (
        _principal("arn:aws:sts::123456789012:assumed-role/Deployer/me")
        == "arn:aws:iam::123456789012:role/Deployer"
    )
    assert _principal("arn:aws:iam::123456789012:user/me") == "arn:aws:iam::123456789012:user/me"


def test_the_worst_result_counts() -> None:
    ok, bad = Check("a", Result.PASS, ""), Check("b", Result.FAIL, "")
    assert overall([ok]) is Result.PASS
    assert overall([ok, Check("c", Result.WARN, "")]) is Result.WARN
    assert overall([ok, bad]) is Result.FAIL
