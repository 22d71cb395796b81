"""Who may reach the load balancers: requests, the template, what AWS has of it, and plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import account
from lifecycle.cluster.checks import Result
from lifecycle.cluster.ways_in import consequences, of_port
from lifecycle.errors import InvalidRequest
from lifecycle.preflight.checks import Need, check_all
from lifecycle.preflight.sources import PrefixList, Sources, check_sources
from lifecycle.provisioning.request import read_provision_request
from moto import mock_aws

from tests.fakes.account import ROOMY
from tests.support.declared import in_clear
from tests.unit.templates.resolver import Resolved, broken_rules, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULTS = {name: str(one.get("default", "")) for name, one in in_clear().items()}
LISTS = [f"pl-{n:017x}" for n in range(1, 7)]
GROUPS = [f"sg-{n:017x}" for n in range(1, 7)]
VPC = "vpc-1"
VPC_RANGE = "10.190.0.0/16"
RANGE = "203.0.113.0/24"
OTHER = "198.51.100.0/24"
PUBLIC = {"LoadBalancerScheme": "internet-facing"}
MANAGED = {"ManagementListener": "true"}


def wrong(parameters: Mapping[str, Any], present: Mapping[str, str] | None = None) -> set[str]:
    raw = {"clusterName": "demo", "parameters": parameters}
    try:
        read_provision_request(raw, in_clear(), present)
    except InvalidRequest as error:
        return {one["field"].removeprefix("parameters.") for one in error.problems}
    return set()


def sources(cluster: Resolved, port: int) -> set[str]:
    """Who reaches a port of a load balancer: ranges, lists and groups, without the functions."""
    found: set[str] = set()
    for rule in cluster.of_type("AWS::EC2::SecurityGroupIngress").values():
        if rule["FromPort"] != port or "LoadBalancerSecurityGroup" not in rule["GroupId"]:
            continue
        if group := rule.get("SourceSecurityGroupId"):
            found |= {group} - {"sg-functions"}
            continue
        named = rule["SourcePrefixListId"]
        if not named.startswith("att("):
            found.add(named)
            continue
        entries = cluster.properties(named[4:].partition(".")[0])["Entries"]
        ranges = [entry["Cidr"] for entry in entries]
        assert len(set(ranges)) == len(ranges) == 5
        found |= {one for one in ranges if not one.startswith("127.")}
    return found


def test_nothing_but_the_vpc_reaches_a_cluster_by_default() -> None:
    cluster = resolve("cluster")
    assert sources(cluster, 80) == sources(cluster, 26500) == {VPC_RANGE}
    assert sources(cluster, 443) == sources(cluster, 9600) == set()
    assert sources(resolve("cluster", **MANAGED), 9600) == {VPC_RANGE}


@pytest.mark.parametrize("number", range(1, 6))
def test_named_lists_and_groups_replace_the_vpc_at_every_port(number: int) -> None:
    given = {
        "AllowedPrefixLists": ",".join(LISTS[:number]),
        "AllowedSecurityGroups": ",".join(GROUPS[:number]),
        "CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b",
    }
    cluster, named = resolve("cluster", **given), {*LISTS[:number], *GROUPS[:number]}
    for port in (80, 443, 26500):
        assert sources(cluster, port) == named
    both = resolve("cluster", **given, AllowedCidrs=RANGE)
    assert sources(both, 443) == sources(both, 26500) == {*named, RANGE}
    # Management has the ranges alone.
    assert sources(resolve("cluster", **given, **MANAGED), 9600) == set()


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"GrpcAllowedCidrs": OTHER}, {OTHER}),
        ({"GrpcAllowedPrefixLists": ",".join(LISTS[:5])}, {*LISTS[:5]}),
        ({"GrpcAllowedSecurityGroups": ",".join(GROUPS[:5])}, {*GROUPS[:5]}),
        ({"GrpcAllowedCidrs": OTHER, "GrpcAllowedSecurityGroups": GROUPS[5]}, {OTHER, GROUPS[5]}),
    ],
)
def test_grpc_may_have_ways_in_of_its_own(own: dict[str, str], expected: set[str]) -> None:
    web = {"AllowedCidrs": RANGE, "AllowedPrefixLists": f"{LISTS[0]},{LISTS[5]}"}
    cluster = resolve("cluster", **web, **own)
    assert sources(cluster, 80) == {RANGE, LISTS[0], LISTS[5]}
    assert sources(cluster, 26500) == expected
    found = of_port({**DEFAULTS, **web, **own}, "Grpc")
    assert {item for items in found.values() for item in items} == expected


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"ManagementAllowedCidrs": OTHER}, {OTHER}),
        ({"ManagementAllowedPrefixLists": ",".join(LISTS[:5])}, {*LISTS[:5]}),
        ({"ManagementAllowedSecurityGroups": ",".join(GROUPS[:5])}, {*GROUPS[:5]}),
    ],
)
def test_management_is_reached_by_those_that_it_names(
    own: dict[str, str], expected: set[str]
) -> None:
    web = {"AllowedCidrs": RANGE, "AllowedSecurityGroups": GROUPS[5]}
    assert sources(resolve("cluster", **web, **own, **MANAGED), 9600) == expected
    assert sources(resolve("cluster", **web, **own), 9600) == set()


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({"AllowedPrefixLists": GROUPS[0]}, {"AllowedPrefixLists"}),
        ({"AllowedSecurityGroups": LISTS[0]}, {"AllowedSecurityGroups"}),
        ({"AllowedSecurityGroups": ",".join(GROUPS)}, {"AllowedSecurityGroups"}),
        ({"AllowedSecurityGroups": f"{GROUPS[0]},{GROUPS[0]}"}, {"AllowedSecurityGroups"}),
        ({"GrpcAllowedCidrs": "10.0.0.1/8,10.9.0.0/8"}, {"GrpcAllowedCidrs"}),
        ({"GrpcAllowedCidrs": "0.0.0.0/0"}, {"GrpcAllowedCidrs"}),
        ({**MANAGED, "ManagementAllowedCidrs": "0.0.0.0/0"}, {"ManagementAllowedCidrs"}),
        (
            {**MANAGED, "ManagementAllowedCidrs": "0.0.0.0/1,128.0.0.0/1"},
            {"ManagementAllowedCidrs"},
        ),
        ({"ManagementAllowedCidrs": "10.0.0.0/8"}, {"ManagementAllowedCidrs"}),
        ({**MANAGED, "AllowedSecurityGroups": GROUPS[0]}, {"ManagementAllowedCidrs"}),
        (PUBLIC, {"AllowedCidrs"}),
        (
            {**PUBLIC, "AllowedPrefixLists": LISTS[0], "GrpcAllowedSecurityGroups": GROUPS[0]},
            {"GrpcAllowedCidrs", "GrpcAllowedSecurityGroups"},
        ),
        (
            {**PUBLIC, "AllowedCidrs": RANGE, "AllowedSecurityGroups": GROUPS[0]},
            {"AllowedSecurityGroups"},
        ),
    ],
)
def test_sources_that_open_too_much_or_nothing_are_refused(
    parameters: dict[str, str], fields: set[str]
) -> None:
    assert wrong(parameters) == fields


@pytest.mark.parametrize(
    "parameters",
    [
        {"AllowedPrefixLists": ",".join(LISTS[:5]), "AllowedSecurityGroups": ",".join(GROUPS[:5])},
        {**PUBLIC, "AllowedPrefixLists": LISTS[0]},
        {
            **MANAGED,
            "AllowedSecurityGroups": GROUPS[0],
            "ManagementAllowedSecurityGroups": GROUPS[1],
        },
        {**MANAGED, "AllowedCidrs": RANGE, "AllowedSecurityGroups": GROUPS[0]},
    ],
)
def test_sources_that_work_are_accepted_by_request_and_template(parameters: dict[str, str]) -> None:
    assert wrong(parameters) == set()
    assert broken_rules("cluster", AcceptPlaintext="true", **parameters) == []


def test_a_list_may_be_given_as_json() -> None:
    raw = {"clusterName": "demo", "parameters": {"AllowedSecurityGroups": GROUPS[:2]}}
    request = read_provision_request(raw, in_clear())
    assert request.parameters["AllowedSecurityGroups"] == ",".join(GROUPS[:2])


def given(parameters: Mapping[str, Any], present: Mapping[str, str]) -> dict[str, str]:
    raw = {"clusterName": "demo", "parameters": parameters}
    return dict(read_provision_request(raw, in_clear(), {**DEFAULTS, **present}).parameters)


def rules(port: int, **parameters: str) -> dict[str, str]:
    """The source of each rule of a port, by its logical id."""
    found = resolve("cluster", **parameters).of_type("AWS::EC2::SecurityGroupIngress")
    return {
        name: rule.get("SourcePrefixListId") or rule["SourceSecurityGroupId"]
        for name, rule in found.items()
        if rule["FromPort"] == port and "LoadBalancerSecurityGroup" in rule["GroupId"]
    }


@pytest.mark.parametrize("kind", ["AllowedPrefixLists", "AllowedSecurityGroups"])
@pytest.mark.parametrize(
    ("way", "port", "more"), [("", 80, {}), ("Grpc", 26500, {}), ("Management", 9600, MANAGED)]
)
@pytest.mark.parametrize("after", [[1], [1, 0], [2, 1], [2, 3, 1], [1, 2, 3, 4, 0], []])
def test_no_rule_is_created_that_another_place_still_has(
    kind: str, way: str, port: int, more: dict[str, str], after: list[int]
) -> None:
    ids = LISTS if kind == "AllowedPrefixLists" else GROUPS
    name = way + kind
    # Without the three of its own, management would have none of these.
    base = {**more, "AllowedCidrs": RANGE}
    present = {**base, name: f"{ids[0]},{ids[1]}"}
    changed = given({name: ",".join(ids[n] for n in after)}, present)[name]
    before, now = rules(port, **present), rules(port, **{**base, name: changed})
    assert sources(resolve("cluster", **{**base, name: changed}), port) >= {ids[n] for n in after}
    assert len(set(now.values())) == len(now)
    for logical_id, source in now.items():
        if before.get(logical_id) != source:
            assert source not in before.values()
    # The same request again changes nothing.
    again = given({name: ",".join(ids[n] for n in after)}, {**base, name: changed})
    assert again[name] == changed


def test_sources_of_grpc_stay_where_they_are_when_it_gets_its_own() -> None:
    present = {"AllowedPrefixLists": f"{LISTS[0]},{LISTS[1]}"}
    assert given({"GrpcAllowedPrefixLists": LISTS[1]}, present) == {
        "GrpcAllowedPrefixLists": f"-,{LISTS[1]}"
    }
    own = {**present, "GrpcAllowedPrefixLists": LISTS[1]}
    # Back to those of the web it would have the first of its own as the second of theirs.
    assert wrong({"GrpcAllowedPrefixLists": ""}, {**DEFAULTS, **own}) == {"GrpcAllowedPrefixLists"}
    same = given({"GrpcAllowedPrefixLists": f"{LISTS[0]},{LISTS[1]}"}, own)
    assert same == {"GrpcAllowedPrefixLists": f"{LISTS[1]},{LISTS[0]}"}
    held = {**present, "GrpcAllowedPrefixLists": f"-,{LISTS[1]}"}
    assert wrong({"GrpcAllowedPrefixLists": ""}, {**DEFAULTS, **held}) == set()


def test_places_without_an_item_are_no_sources() -> None:
    assert given({"AllowedPrefixLists": "-,-"}, {}) == {"AllowedPrefixLists": ""}
    free = {"AllowedPrefixLists": f"-,{LISTS[1]}"}
    assert sources(resolve("cluster", **free), 80) == {LISTS[1]}
    assert of_port({**DEFAULTS, **free})["AllowedPrefixLists"] == (LISTS[1],)


EVERYWHERE = {"AllowedCidrs": "0.0.0.0/1,128.0.0.0/1"}


@pytest.mark.parametrize(
    ("parameters", "present"),
    [
        ({**MANAGED, **EVERYWHERE}, {}),
        (MANAGED, EVERYWHERE),
        (EVERYWHERE, MANAGED),
        (
            {"ManagementAllowedCidrs": ""},
            {**MANAGED, **EVERYWHERE, "ManagementAllowedCidrs": OTHER},
        ),
    ],
)
def test_management_does_not_get_the_whole_internet_from_the_web(
    parameters: dict[str, str], present: dict[str, str]
) -> None:
    living = {**DEFAULTS, **present} if present else None
    assert wrong(parameters, living) == {"ManagementAllowedCidrs"}
    own = {} if "ManagementAllowedCidrs" in parameters else {"ManagementAllowedCidrs": OTHER}
    if own:
        assert wrong({**parameters, **own}, living) == set()


def test_a_cluster_whose_management_is_open_already_can_be_provisioned() -> None:
    present = {**DEFAULTS, **MANAGED, **EVERYWHERE}
    assert wrong({"LogRetentionDays": 90}, present) == set()
    assert wrong({**MANAGED, **EVERYWHERE}, present) == set()


def test_the_management_listener_is_switched_off_with_its_sources_in_place() -> None:
    present = {**DEFAULTS, **MANAGED, "ManagementAllowedCidrs": OTHER}
    assert wrong({"ManagementListener": "false"}, present) == set()


NAMED = {**DEFAULTS, "AllowedPrefixLists": LISTS[0], "GrpcAllowedSecurityGroups": GROUPS[0]}
THERE = Sources({LISTS[0]: PrefixList("IPv4", 10)}, {GROUPS[0]: VPC})


@pytest.mark.parametrize(
    ("found", "seen"),
    [
        (Sources({}, THERE.groups), f"{LISTS[0]} is not there"),
        (Sources(THERE.lists, {}), f"{GROUPS[0]} is not there"),
        (Sources({LISTS[0]: PrefixList("IPv6", 10)}, THERE.groups), "is of IPv6"),
        (Sources(THERE.lists, {GROUPS[0]: "vpc-2"}), "is of vpc-2, the load balancers are in"),
    ],
)
def test_what_aws_would_refuse_is_refused_before(found: Sources, seen: str) -> None:
    refused = check_sources(NAMED, DEFAULTS, found, VPC)
    assert refused.result is Result.FAIL
    assert seen in refused.seen
    assert check_sources(NAMED, NAMED, found, VPC).result is Result.WARN


def test_a_kept_source_needs_to_be_there_for_a_new_rule_and_does_not_stop_another() -> None:
    gone = Sources({LISTS[1]: PrefixList("IPv4", 10)}, THERE.groups)
    has = {**DEFAULTS, "AllowedPrefixLists": LISTS[0], "GrpcAllowedSecurityGroups": GROUPS[0]}

    def result(**more: str) -> Result:
        return check_sources({**has, **more}, has, gone, VPC).result

    assert result() is Result.WARN
    # Beside it another one, which is there.
    assert result(AllowedPrefixLists=f"{LISTS[0]},{LISTS[1]}") is Result.WARN
    # EC2 would reject the rules of other ports for it.
    assert result(GrpcAllowedPrefixLists=LISTS[0]) is Result.FAIL
    assert result(GrpcAllowedSecurityGroups="") is Result.FAIL
    assert result(CertificateArn="arn") is Result.FAIL
    assert result(ManagementListener="true", ManagementAllowedPrefixLists=LISTS[0]) is Result.FAIL


def test_a_prefix_list_counts_as_its_most_entries() -> None:
    def result(most: int, **more: str) -> Result:
        found = Sources({LISTS[0]: PrefixList("IPv4", most)}, THERE.groups)
        return check_sources({**NAMED, **more}, DEFAULTS, found, VPC).result

    # Five ranges and the functions beside it.
    assert result(54) is Result.PASS
    assert result(55) is Result.WARN
    # Ports 80 and 443 have a rule each.
    assert result(25, CertificateArn="arn") is Result.WARN
    assert result(24, CertificateArn="arn") is Result.PASS
    # So has management, on the same load balancer.
    assert result(50, ManagementListener="true", ManagementAllowedCidrs=OTHER) is Result.WARN


def test_preflight_checks_what_is_named_and_shows_what_is_unread() -> None:
    def check(facts: Any, parameters: Mapping[str, str]) -> dict[str, Any]:
        found = check_all(
            Need.of("control-demo", None, parameters),
            facts,
            stack=None,
            control_stack="control",
            cluster="demo",
            certificate="",
            planning=False,
            reviewed=False,
        )
        return {one.name: one for one in found}

    name = "allowed prefix lists and security groups"
    assert ROOMY.network is not None
    here = replace(ROOMY, network=replace(ROOMY.network, vpc=VPC), sources=THERE)
    assert check(here, NAMED)[name].result is Result.PASS
    assert name not in check(here, DEFAULTS)
    unread = replace(here, sources=None, unread={"sources": "throttled"})
    assert check(unread, NAMED)[name].result is Result.WARN


def test_lists_and_groups_are_read_with_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws():
        ec2 = boto3.client("ec2", region_name="eu-central-1")
        monkeypatch.setattr(account, "client", lambda *_, **__: ec2)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        group = ec2.create_security_group(GroupName="a", Description="a", VpcId=vpc)["GroupId"]
        made = ec2.create_managed_prefix_list(
            PrefixListName="a", MaxEntries=7, AddressFamily="IPv4"
        )["PrefixList"]["PrefixListId"]
        found = account._sources(
            {
                "AllowedPrefixLists": f"{made},{LISTS[0]}",
                "ManagementAllowedSecurityGroups": f"{group},{GROUPS[0]}",
            }
        )
        assert found == Sources({made: PrefixList("IPv4", 7)}, {group: vpc})


def test_a_plan_shows_who_is_no_longer_admitted() -> None:
    after = {**DEFAULTS, "AllowedPrefixLists": LISTS[0]}
    assert consequences(DEFAULTS, after) == [
        "No longer admitted to REST and the web applications: clients in the VPC.",
        "No longer admitted to gRPC: clients in the VPC.",
    ]
    ranges = {**DEFAULTS, "AllowedCidrs": RANGE}
    own = {**ranges, "GrpcAllowedCidrs": OTHER}
    assert consequences(ranges, own) == [f"No longer admitted to gRPC: {RANGE}."]
    assert consequences({}, after) == consequences(own, own) == []


def test_a_plan_shows_who_no_longer_reaches_the_management_api() -> None:
    managed = {**DEFAULTS, **MANAGED}
    own = {**managed, "ManagementAllowedCidrs": OTHER}
    what = "No longer admitted to the management API: "
    assert consequences(own, {**managed, "ManagementAllowedCidrs": RANGE}) == [f"{what}{OTHER}."]
    assert consequences(own, {**own, "ManagementListener": "false"}) == [f"{what}{OTHER}."]
    assert consequences(managed, own) == [f"{what}clients in the VPC."]
    assert consequences({**own, "ManagementListener": "false"}, DEFAULTS) == []


def test_a_range_within_a_wider_one_is_still_admitted() -> None:
    before = {**DEFAULTS, "AllowedCidrs": "10.1.0.0/16,192.168.0.0/16"}
    after = {**DEFAULTS, "AllowedCidrs": "10.0.0.0/9,10.128.0.0/9"}
    assert consequences(before, after) == [
        f"No longer admitted to {what}: 192.168.0.0/16."
        for what in ("REST and the web applications", "gRPC")
    ]
