"""When CloudFormation created and changed a stack, against its model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from lifecycle.adapters.aws import cloudformation as adapter
from lifecycle.adapters.aws.cloudformation import CloudFormationStacks

MADE = datetime(2026, 1, 1, 10, 0, 0, 123_000, tzinfo=UTC)
CHANGED = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("changed", [False, True])
def test_an_update_does_not_change_when_a_stack_was_created(
    monkeypatch: pytest.MonkeyPatch, *, changed: bool
) -> None:
    api: Any = boto3.client(
        "cloudformation", "eu-central-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    monkeypatch.setattr(adapter, "client", lambda *_: api)
    found: dict[str, Any] = {
        "StackName": "control-demo",
        "StackStatus": "UPDATE_COMPLETE",
        "CreationTime": MADE,
    }
    with Stubber(api) as stub:
        shown = {**found, "LastUpdatedTime": CHANGED} if changed else found
        stub.add_response("describe_stacks", {"Stacks": [shown]})
        stack = CloudFormationStacks("arn:role").describe("control-demo")
    assert stack is not None
    assert stack.created_at == "2026-01-01T10:00:00.123Z"
    assert (stack.changed_at == stack.created_at) is not changed
