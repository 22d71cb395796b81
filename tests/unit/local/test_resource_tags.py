"""What IAM evaluates of stacks on the local AWS, and what a change set implies."""

from __future__ import annotations

import pytest

from local.aws.strict.resource_tags import stack_tags, template_right

TAGS = [{"Key": "camunda:control-plane", "Value": "control"}]
STACKS = {
    "control-demo": {"StackStatus": "CREATE_COMPLETE", "Tags": TAGS},
    "control-new": {"StackStatus": "REVIEW_IN_PROGRESS", "Tags": TAGS},
    "control-gone": {"StackStatus": "DELETE_COMPLETE", "Tags": TAGS},
}


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ("control-demo/*", {"camunda:control-plane": "control"}),
        ("control-demo/0f3a", {"camunda:control-plane": "control"}),
        ("control-new/*", None),
        ("control-gone/0f3a", None),
        ("other/*", None),
    ],
)
def test_a_stack_has_its_tags_once_it_was_executed(
    stack: str, expected: dict[str, str] | None
) -> None:
    assert stack_tags(f"arn:aws:cloudformation:r:1:stack/{stack}", STACKS) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://b.s3.eu-central-1.amazonaws.com/templates/x.json?versionId=1",
            ("s3:GetObjectVersion", "arn:aws:s3:::b/templates/x.json"),
        ),
        (
            "https://b.s3.eu-central-1.amazonaws.com/templates/x.json",
            ("s3:GetObject", "arn:aws:s3:::b/templates/x.json"),
        ),
        ("", None),
    ],
)
def test_a_template_is_read_with_the_right_for_its_version(
    url: str, expected: tuple[str, str] | None
) -> None:
    assert template_right(url) == expected
