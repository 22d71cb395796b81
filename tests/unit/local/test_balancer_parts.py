"""Load balancers as AWS keeps them: one listener for a port, groups that are in use."""

from __future__ import annotations

from typing import Any

import pytest

from local.aws.strict.balancer_parts import allowed_already, in_use, routing, taken

LISTENERS = {"arn:l": {"LoadBalancerArn": "arn:web", "Port": 9600}}
RULES = [
    {"ListenerArn": "arn:l", "Actions": [{"Type": "forward", "TargetGroupArn": "arn:group"}]},
    {"ListenerArn": "arn:gone", "Actions": [{"Type": "forward", "TargetGroupArn": "arn:left"}]},
    {"ListenerArn": "arn:l", "Actions": [{"Type": "redirect"}]},
]


@pytest.mark.parametrize(
    ("balancer", "port", "refused"),
    [("arn:web", 9600, True), ("arn:web", 80, False), ("arn:other", 9600, False)],
)
def test_a_port_has_one_listener(balancer: str, port: int, *, refused: bool) -> None:
    assert bool(taken(LISTENERS.values(), balancer, port)) is refused


@pytest.mark.parametrize(("group", "refused"), [("arn:group", True), ("arn:other", False)])
def test_what_an_action_refers_to_cannot_be_deleted(group: str, *, refused: bool) -> None:
    assert bool(in_use(RULES, group)) is refused


def test_a_group_names_the_load_balancers_that_route_to_it_now() -> None:
    assert routing(RULES, LISTENERS, "arn:group") == ["arn:web"]
    assert routing(RULES, LISTENERS, "arn:left") == []


@pytest.mark.parametrize(
    ("new", "refused"),
    [
        ({"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "another"}]}, True),
        ({"IpRanges": [{"CidrIp": "10.1.0.0/16"}]}, False),
        ({"IpRanges": [{"CidrIp": "10.0.0.0/8"}], "ToPort": 9601}, False),
        ({"UserIdGroupPairs": [{"GroupId": "sg-1"}]}, False),
    ],
)
def test_a_security_group_takes_no_rule_twice(new: dict[str, Any], *, refused: bool) -> None:
    ports = {"IpProtocol": "tcp", "FromPort": 9600, "ToPort": 9600}
    there = [{**ports, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
    assert allowed_already(there, {**ports, **new}) is refused
