"""Each ``*`` in a policy has its reason beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.rights.statements import TEMPLATES, Statement, is_open, statements

if TYPE_CHECKING:
    from pathlib import Path

ENOUGH_FOR_A_REASON = 20


def _open(template: Path) -> list[Statement]:
    return [
        one
        for one in statements(template)
        if any("*" in action for action in one.actions) or any(map(is_open, one.resources))
    ]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_each_wildcard_has_its_reason(template: Path) -> None:
    silent = [str(one) for one in _open(template) if len(one.comments) < ENOUGH_FOR_A_REASON]
    assert silent == [], "write the reason above the statement"


def test_open_statements_are_found() -> None:
    assert {one.owner for path in TEMPLATES for one in _open(path)} >= {
        "TaskBoundary",
        "StorageKey",
    }


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("*", True),
        ({"Fn::Sub": "arn:${AWS::Partition}:s3:::*"}, True),
        ({"Fn::Sub": "arn:${AWS::Partition}:secretsmanager:r:a:secret:*"}, True),
        ({"Fn::Sub": "arn:${AWS::Partition}:states:*:a:execution:${AWS::StackName}-x:*"}, True),
        ({"Fn::Sub": "arn:${AWS::Partition}:states:r:a:execution:${AWS::StackName}-*:*"}, False),
        ({"Fn::If": ["A", "arn:aws:s3:::*", "arn:aws:s3:::x"]}, True),
        ({"Fn::Sub": "${Table.Arn}/index/*"}, False),
        ({"Fn::GetAtt": ["Table", "Arn"]}, False),
    ],
)
def test_what_counts_as_open(resource: object, *, expected: bool) -> None:
    assert is_open(resource) is expected


def test_nobody_is_allowed_everything() -> None:
    """Except a guarded resource's own policy, where ``*`` is that resource."""
    for template in TEMPLATES:
        for one in statements(template):
            if one.allows and one.is_of_a_role:
                assert "*" not in one.actions, str(one)
