"""A quota is known only where Service Quotas tells a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber
from lifecycle.adapters.aws.service_quotas import FARGATE_VCPU, AwsFargateQuota, quota_value
from lifecycle.adapters.aws.session import client
from lifecycle.errors import AwsRefused

from local.aws.strict.quota_values import quota

if TYPE_CHECKING:
    from collections.abc import Iterator

CLUSTERS = ("rds", "L-952B80B8")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    client.cache_clear()
    with Stubber(client("service-quotas", attempts=3)) as stub:
        yield stub
    client.cache_clear()


def told(named: tuple[str, str], *, asked: bool) -> dict[str, Any]:
    return {"Quota": quota(*named, asked=asked)}


def test_what_was_applied_counts_before_the_default(api: Stubber) -> None:
    api.add_response("get_service_quota", told(CLUSTERS, asked=True))
    assert quota_value(*CLUSTERS) == 40
    api.add_client_error("get_service_quota", "NoSuchResourceException")
    api.add_response("get_aws_default_service_quota", told(FARGATE_VCPU, asked=True))
    assert quota_value(*FARGATE_VCPU) == 100


def test_an_answer_without_a_value_is_a_refusal_with_its_reason(api: Stubber) -> None:
    api.add_response("get_service_quota", told(CLUSTERS, asked=False))
    with pytest.raises(AwsRefused, match=r"DEPENDENCY_ACCESS_DENIED_ERROR .*Attributes"):
        quota_value(*CLUSTERS)


def test_fargates_quota_without_a_value_is_not_known(api: Stubber) -> None:
    answer = told(FARGATE_VCPU, asked=True)
    del answer["Quota"]["Value"]
    api.add_response("get_service_quota", answer)
    assert AwsFargateQuota._limit() is None
    api.add_response("get_service_quota", told(FARGATE_VCPU, asked=True))
    assert AwsFargateQuota._limit() == 100
