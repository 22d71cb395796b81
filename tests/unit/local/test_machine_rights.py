"""Whom a function's own policy lets invoke it."""

from __future__ import annotations

from typing import Any

import pytest

from local.aws.strict.machine_rights import permits

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:clean-up:live"
RULE = "arn:aws:events:eu-central-1:123456789012:rule/ended"
PERMISSION: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "lambda:InvokeFunction",
    "Resource": FUNCTION,
    "Condition": {"ArnLike": {"AWS:SourceArn": RULE}},
}


@pytest.mark.parametrize(
    ("changed", "permitted"),
    [
        ({}, True),
        ({"Condition": {}}, True),
        ({"Condition": {"ArnLike": {"AWS:SourceArn": f"{RULE}-other"}}}, False),
        ({"Principal": {"Service": "apigateway.amazonaws.com"}}, False),
        ({"Resource": FUNCTION.removesuffix(":live")}, False),
        ({"Action": "lambda:GetFunction"}, False),
    ],
)
def test_a_permission_is_for_a_service_a_source_and_an_alias(
    changed: dict[str, Any], permitted: bool
) -> None:
    assert permits([PERMISSION | changed], "events.amazonaws.com", FUNCTION, RULE) == permitted


def test_without_a_permission_nobody_may() -> None:
    assert not permits([], "events.amazonaws.com", FUNCTION, RULE)
