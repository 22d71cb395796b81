"""On which resources the local IAM authorises what ECS is asked."""

from __future__ import annotations

from local.aws.iam import ecs_resources
from local.config import ACCOUNT_ID, REGION

PREFIX = f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}"


def test_revisions_are_authorised_with_the_services_that_they_are_of() -> None:
    revisions = [f"{PREFIX}:service-revision/c/{one}" for one in ("s/1", "s/2", "t/1")]
    assert ecs_resources("DescribeServiceRevisions", {"serviceRevisionArns": revisions}) == [
        *revisions,
        f"{PREFIX}:service/c/s",
        f"{PREFIX}:service/c/t",
    ]
    assert ecs_resources("DescribeServiceRevisions", {}) == ["*"]
