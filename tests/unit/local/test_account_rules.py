"""Rules about what an account holds."""

from __future__ import annotations

from local.aws.strict.account_settings import RETIREMENT, refusal
from local.aws.strict.parameter_tags import code_of


def test_tasks_retire_at_once_or_after_one_or_two_weeks() -> None:
    assert [days for days in ("0", "1", "7", "14", "enabled") if not refusal(RETIREMENT, days)] == [
        "0",
        "7",
        "14",
    ]
    assert not refusal("containerInsights", "enabled")


def test_the_code_of_an_error_is_read_with_and_without_its_namespace() -> None:
    assert code_of(b'{"__type": "com.amazonaws.ssm#ParameterNotFound"}') == "ParameterNotFound"
    assert code_of(b'{"__type": "ParameterNotFound"}') == "ParameterNotFound"
    assert code_of(b'{"TagList": []}') == ""
