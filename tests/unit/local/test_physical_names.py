"""Names as CloudFormation makes them, and what our policies match of them."""

from __future__ import annotations

import fnmatch
import importlib
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.names import control_stack_problem

from tests.support.sam import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

# Longest names of resources that CloudFormation names itself.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
BUCKET = 63


def bucket_name(stack: str, logical_id: str) -> str:
    """Name of a bucket as the emulator makes it, lower-cased and cut as CloudFormation's are."""
    provisioners: Any = importlib.import_module("ministack.services.cloudformation.provisioners")
    return str(provisioners._physical_name(stack, logical_id, lowercase=True, max_len=BUCKET))


def test_a_bucket_is_named_in_lower_case_and_cut() -> None:
    name = bucket_name("Camunda-Lifecycle-of-the-Platform-Team-in-Frankfurt-Main", "NodeIdBucket")
    assert name == name.lower()
    assert len(name) <= BUCKET


def patterns(control_stack: str) -> Iterator[str]:
    """Buckets that the functions' policies name by the control stack's name."""
    for resource in translated().values():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"].get("Policies", ()):
            for statement in policy["PolicyDocument"]["Statement"]:
                named = statement.get("Resource", [])
                for one in named if isinstance(named, list) else [named]:
                    text = one.get("Fn::Sub", "") if isinstance(one, dict) else one
                    bucket = str(text).partition(":s3:::")[2].partition("/")[0]
                    if "${AWS::StackName}" in bucket:
                        yield bucket.replace("${AWS::StackName}", control_stack)


def matches(control_stack: str) -> bool:
    """Whether each policy matches the bucket of a cluster whose name is as long as it may be."""
    made = bucket_name(f"{control_stack}-{'c' * 19}", "NodeIdBucket")
    found = set(patterns(control_stack))
    assert found
    return all(fnmatch.fnmatchcase(made, one) for one in found)


@pytest.mark.parametrize("control_stack", ["camunda-lifecycle", "c2", "c" * 32])
def test_a_cluster_s_buckets_are_those_that_policies_name(control_stack: str) -> None:
    assert control_stack_problem(control_stack) == ""
    assert matches(control_stack)


@pytest.mark.parametrize(
    "control_stack",
    ["Camunda-Lifecycle", "camunda-lifecycle-of-the-platform-team-in-frankfurt"],
)
def test_a_control_stack_whose_buckets_no_policy_would_match_is_refused(control_stack: str) -> None:
    assert not matches(control_stack)
    assert control_stack_problem(control_stack)
