"""The rule for updates and rollbacks of CloudFormation: what begins and what does not."""

from __future__ import annotations

import pytest

from local.aws.strict.replacement_needs_rollback import (
    ON_FAILURE,
    refusal,
    undone_from_nothing,
    was_stable,
)


@pytest.mark.parametrize("status", ["CREATE_FAILED", "UPDATE_FAILED"])
def test_what_failed_takes_only_updates_without_rollback(status: str) -> None:
    assert f"non-terminal [{status}] state" in refusal(status, on_failure="", rollback_is_off=False)
    assert refusal(status, on_failure="", rollback_is_off=True) == ""


def test_a_creation_that_was_to_do_nothing_on_failure_is_not_continued() -> None:
    for off in (True, False):
        assert refusal("CREATE_FAILED", on_failure="DO_NOTHING", rollback_is_off=off) == ON_FAILURE
    assert refusal("UPDATE_FAILED", on_failure="DO_NOTHING", rollback_is_off=True) == ""


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_what_is_complete_takes_any_update(status: str) -> None:
    for off in (True, False):
        assert refusal(status, on_failure="DO_NOTHING", rollback_is_off=off) == ""


def event(kind: str, status: str) -> dict[str, str]:
    return {"ResourceType": kind, "ResourceStatus": status}


def test_only_the_stack_s_own_completion_is_a_stable_state() -> None:
    failed = [
        event("AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS"),
        event("AWS::SNS::Topic", "CREATE_COMPLETE"),
        event("AWS::CloudFormation::Stack", "CREATE_FAILED"),
        event("AWS::CloudFormation::Stack", "ROLLBACK_COMPLETE"),
    ]
    assert not was_stable(failed)
    assert was_stable([*failed, event("AWS::CloudFormation::Stack", "UPDATE_COMPLETE")])


def test_without_a_stable_state_all_that_was_made_is_removed() -> None:
    operation = {"is_update": True, "previous_stack": {"x": 1}, "created": ["B"], "template": {}}
    assert undone_from_nothing(operation, {"A": {}, "B": {}}) == {
        "is_update": False,
        "previous_stack": None,
        "failed_update": None,
        "created": ["A", "B"],
        "template": {},
    }
