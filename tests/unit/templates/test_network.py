"""The VPC: addresses, zones, ways out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.templates.resolver import resolve
from tools.generate_parameters import ROOT, load_template


def test_six_subnets_as_the_reference_cuts_them() -> None:
    subnets = resolve("network").of_type("AWS::EC2::Subnet")
    placed = {
        name: (subnet["CidrBlock"], subnet["AvailabilityZone"]) for name, subnet in subnets.items()
    }
    assert placed == {
        "PrivateSubnet1": ("10.190.0.0/19", "eu-central-1a"),
        "PrivateSubnet2": ("10.190.32.0/19", "eu-central-1b"),
        "PrivateSubnet3": ("10.190.64.0/19", "eu-central-1c"),
        "PublicSubnet1": ("10.190.96.0/19", "eu-central-1a"),
        "PublicSubnet2": ("10.190.128.0/19", "eu-central-1b"),
        "PublicSubnet3": ("10.190.160.0/19", "eu-central-1c"),
    }
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets.values())


def test_the_zones_of_the_subnets_can_be_chosen() -> None:
    chosen = [f"ap-northeast-1{letter}" for letter in "acd"]
    given = dict(zip(("ZoneA", "ZoneB", "ZoneC"), chosen, strict=True))
    subnets = resolve("network", **given).of_type("AWS::EC2::Subnet")
    for kind in ("Private", "Public"):
        placed = [subnets[f"{kind}Subnet{number}"]["AvailabilityZone"] for number in (1, 2, 3)]
        assert placed == chosen


@pytest.mark.parametrize(
    ("zones", "broken"),
    [
        (("", "", ""), 0),
        (("a-b-1a", "a-b-1b", "a-b-1c"), 0),
        (("a-b-1a", "a-b-1b", ""), 1),
        (("", "a-b-1b", "a-b-1c"), 1),
        (("a-b-1a", "a-b-1b", "a-b-1b"), 1),
    ],
)
def test_zones_are_three_or_none(zones: tuple[str, ...], broken: int) -> None:
    control = load_template(ROOT / "template.yaml")
    rule = control["Rules"]["ThreeZones"]
    values = dict(zip(("ZoneA", "ZoneB", "ZoneC"), zones, strict=True))
    functions = {
        "Ref": lambda name: values[name],
        "Fn::Equals": lambda pair: pair[0] == pair[1],
        "Fn::Not": lambda one: not one[0],
        "Fn::And": all,
        "Fn::Or": any,
    }

    def said(node: Any) -> Any:
        if isinstance(node, list):
            return [said(one) for one in node]
        if isinstance(node, dict):
            # Rules know no other functions.
            ((function, argument),) = node.items()
            return functions[function](said(argument))
        return node

    asked = said(rule["RuleCondition"])
    assert asked == any(zones)
    assert sum(asked and not said(one["Assert"]) for one in rule["Assertions"]) == broken


def test_names_resolve_inside_the_vpc() -> None:
    vpc = resolve("network").properties("Vpc")
    assert vpc["EnableDnsSupport"]
    assert vpc["EnableDnsHostnames"]


@pytest.mark.parametrize(
    ("count", "gateways"), [("0", [None] * 3), ("1", [1, 1, 1]), ("3", [1, 2, 3])]
)
def test_private_subnets_leave_through_their_nat_gateway(
    count: str, gateways: list[int | None]
) -> None:
    network = resolve("network", NatGateways=count)
    assert len(network.of_type("AWS::EC2::NatGateway")) == int(count)
    assert len(network.of_type("AWS::EC2::EIP")) == int(count)
    for zone, gateway in enumerate(gateways, start=1):
        route = network.resources.get(f"PrivateDefaultRoute{zone}")
        if gateway is None:
            assert route is None
            continue
        assert route is not None
        assert route["Properties"]["NatGatewayId"] == f"ref(NatGateway{gateway})"
        assert route["Properties"]["RouteTableId"] == f"ref(PrivateRouteTable{zone})"
        association = network.properties(f"PrivateSubnet{zone}Routes")
        assert association["RouteTableId"] == f"ref(PrivateRouteTable{zone})"
        assert association["SubnetId"] == f"ref(PrivateSubnet{zone})"


def test_public_subnets_leave_through_the_internet_gateway() -> None:
    network = resolve("network")
    route = network.properties("PublicDefaultRoute")
    assert route["GatewayId"] == "ref(InternetGateway)"
    assert "InternetGatewayAttachment" in network.waits_for("PublicDefaultRoute")
    for zone in (1, 2, 3):
        association = network.properties(f"PublicSubnet{zone}Routes")
        assert association["RouteTableId"] == route["RouteTableId"]


@pytest.mark.parametrize(
    ("name", "service"), [("S3Endpoint", "s3"), ("DynamoDbEndpoint", "dynamodb")]
)
def test_gateway_endpoints_serve_every_route_table(name: str, service: str) -> None:
    network = resolve("network")
    endpoint = network.properties(name)
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert endpoint["ServiceName"] == f"com.amazonaws.eu-central-1.{service}"
    tables = {f"ref({table})" for table in network.of_type("AWS::EC2::RouteTable")}
    assert set(endpoint["RouteTableIds"]) == tables


def test_outputs_join_lists_with_commas() -> None:
    outputs = resolve("network").outputs
    assert outputs["PrivateSubnetIds"] == (
        "ref(PrivateSubnet1),ref(PrivateSubnet2),ref(PrivateSubnet3)"
    )
    assert outputs["PublicSubnetIds"] == "ref(PublicSubnet1),ref(PublicSubnet2),ref(PublicSubnet3)"
    assert outputs["VpcCidr"] == "10.190.0.0/16"
