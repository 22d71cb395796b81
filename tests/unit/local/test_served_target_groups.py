"""Which target groups ECS takes for a service."""

from __future__ import annotations

import pytest

from local.aws.strict.served_target_groups import refusal

pytestmark = pytest.mark.unit

BALANCERS = ({"targetGroupArn": "arn:rest"}, {"targetGroupArn": "arn:grpc"})


def test_each_target_group_must_be_served() -> None:
    assert refusal(BALANCERS, {"arn:rest", "arn:grpc", "arn:other"}) is None
    code, message = refusal(BALANCERS, {"arn:rest"}) or ("", "")
    assert code == "InvalidParameterException"
    assert "arn:grpc does not have an associated load balancer" in message


def test_a_service_without_load_balancers_needs_none() -> None:
    assert refusal((), set()) is None
