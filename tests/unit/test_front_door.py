"""Names, certificate and what is in clear: what a request may contain, and what a plan shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.front_door import consequences, grpc_name, has_certificate, names
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.stack import Stack
from lifecycle.errors import InvalidRequest
from lifecycle.provisioning.request import read_plan_request, read_provision_request
from lifecycle.provisioning.validate import validate_plan, validate_request
from lifecycle.services.registries import Registries

from tests.support.definitions import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b"
ZONE = "Z0123456789ABC"
DOMAIN = "camunda.example.com"
REQUESTED = {"DomainName": DOMAIN, "HostedZoneId": ZONE}
OWN = {"DomainName": DOMAIN, "CertificateArn": CERTIFICATE}
DEFAULTS = {name: str(one.get("default", "")) for name, one in cluster_parameters().items()}
REGISTRIES = Registries.read("docker.io/camunda", "123456789012", "eu-central-1")


def wrong(
    parameters: Mapping[str, object],
    present: Mapping[str, str] | None = None,
    zones: tuple[str, ...] | None = None,
) -> dict[str, dict[str, str]]:
    """Problems of a request by field, the same from both machines."""
    found = []
    for read, raw, prefix in (
        (read_provision_request, {"parameters": parameters}, ""),
        (read_plan_request, {"provision": {"parameters": parameters}}, "provision."),
    ):
        problems: dict[str, dict[str, str]] = {}
        try:
            read({"clusterName": "demo", **raw}, cluster_parameters(), present, zones=zones)
        except InvalidRequest as error:
            problems = {one["field"].removeprefix(prefix): one for one in error.problems}
        found.append({name: {**one, "field": ""} for name, one in problems.items()})
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("scheme", [{}, {"Trial": True}, {"ManagementListener": True}])
def test_a_new_cluster_in_clear_is_refused_with_the_choices(scheme: dict[str, Any]) -> None:
    found = wrong(scheme)
    assert set(found) == {"parameters.AcceptPlaintext"}
    assert found["parameters.AcceptPlaintext"]["given"] == "nothing"
    (said,) = wrong({**scheme, "AcceptPlaintext": False}).values()
    assert said["given"] == '"false"'
    allowed = found["parameters.AcceptPlaintext"]["allowed"]
    assert all(one in allowed for one in ("HostedZoneId", "CertificateArn", "AcceptPlaintext true"))


@pytest.mark.parametrize("chosen", [{"AcceptPlaintext": True}, OWN, REQUESTED])
def test_one_of_the_choices_makes_a_new_cluster(chosen: dict[str, Any]) -> None:
    assert wrong(chosen) == {}


def test_a_living_cluster_in_clear_is_not_refused_for_it() -> None:
    assert wrong({"LogRetentionDays": 90}, DEFAULTS) == {}
    assert wrong({}, {**DEFAULTS, "AcceptPlaintext": "true"}) == {}


def test_a_living_cluster_does_not_lose_its_certificate_by_accident() -> None:
    present = {**DEFAULTS, **OWN}
    assert set(wrong({"CertificateArn": "", "DomainName": ""}, present)) == {
        "parameters.AcceptPlaintext"
    }
    assert wrong({"CertificateArn": "", "DomainName": "", "AcceptPlaintext": True}, present) == {}
    assert wrong({"CertificateArn": "", "HostedZoneId": ZONE}, present) == {}


def test_what_once_accepted_a_cluster_in_clear_does_not_accept_to_lose_its_certificate() -> None:
    present = {**DEFAULTS, **OWN, "AcceptPlaintext": "true"}
    lost = {"CertificateArn": "", "DomainName": ""}
    assert set(wrong(lost, present)) == {"parameters.AcceptPlaintext"}
    assert wrong({**lost, "AcceptPlaintext": True}, present) == {}
    public = {**present, "LoadBalancerScheme": "internet-facing", "AllowedCidrs": "203.0.113.0/24"}
    assert set(wrong(lost, public)) == {"parameters.CertificateArn"}


def test_a_plan_of_a_teardown_or_of_scaling_needs_no_certificate() -> None:
    plans: list[dict[str, Any]] = [{"teardown": {}}, {"scale": {"count": 4}}]
    for raw in plans:
        read_plan_request({"clusterName": "demo", **raw}, cluster_parameters())


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"HostedZoneId": ZONE, "CertificateArn": CERTIFICATE}, "DomainName"),
        ({"HostedZoneId": ZONE}, "DomainName"),
        ({"DomainName": DOMAIN, "AcceptPlaintext": True}, "CertificateArn"),
        ({"GrpcDomainName": DOMAIN, "AcceptPlaintext": True}, "CertificateArn"),
        ({**REQUESTED, "GrpcDomainName": DOMAIN}, "GrpcDomainName"),
        ({**REQUESTED, "DomainName": f"{'a' * 54}.example.com"}, "DomainName"),
        (
            {
                "DomainName": ".".join(["a" * 62] * 3 + ["b" * 57, "com"]),
                "HostedZoneId": ZONE,
                "CertificateArn": CERTIFICATE,
            },
            "GrpcDomainName",
        ),
    ],
)
def test_names_that_cannot_be_are_refused(parameters: dict[str, Any], field: str) -> None:
    assert set(wrong(parameters)) == {f"parameters.{field}"}


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({"DomainName": f"grpc.{DOMAIN}"}, {"parameters.DomainName"}),
        (
            {"DomainName": "new.example.com", "GrpcDomainName": DOMAIN},
            {"parameters.GrpcDomainName"},
        ),
        (
            {"DomainName": f"grpc.{DOMAIN}", "GrpcDomainName": DOMAIN},
            {"parameters.DomainName", "parameters.GrpcDomainName"},
        ),
        ({"DomainName": f"grpc.{DOMAIN}", "HostedZoneId": "Z9999999999999"}, set()),
        ({"GrpcDomainName": "zeebe.example.com"}, set()),
        ({"LogRetentionDays": 90}, set()),
    ],
)
def test_a_name_does_not_move_from_one_load_balancer_to_the_other(
    parameters: dict[str, Any], fields: set[str]
) -> None:
    """Its record would be created while the other one still exists."""
    assert set(wrong(parameters, {**DEFAULTS, **REQUESTED})) == fields
    # Without records of the stack nothing is in the way.
    assert wrong({**parameters, "HostedZoneId": ""}, {**DEFAULTS, **OWN}) == {}


def test_the_longest_name_that_acm_takes_as_common_name_is_accepted() -> None:
    longest = f"{'a' * 52}.example.com"
    assert len(longest) == 64
    assert wrong({**REQUESTED, "DomainName": longest}) == {}
    assert set(wrong({**REQUESTED, "DomainName": f"a{longest}"})) == {"parameters.DomainName"}


@pytest.mark.parametrize("zones", [(), ("Z9999999999999",)])
def test_a_zone_that_the_control_stack_does_not_list_is_refused(zones: tuple[str, ...]) -> None:
    found = wrong(REQUESTED, zones=zones)
    assert set(found) == {"parameters.HostedZoneId"}
    assert found["parameters.HostedZoneId"]["given"] == f'"{ZONE}"'
    assert found["parameters.HostedZoneId"]["allowed"].endswith(", ".join(zones) or "none")
    # What a cluster has already is not refused.
    assert wrong({"LogRetentionDays": 90}, {**DEFAULTS, **REQUESTED}, zones=zones) == {}


class Control:
    """CloudFormation with nothing but the control stack."""

    def __init__(self, zones: str) -> None:
        self.asked: list[str] = []
        self._control = Stack(
            "control", "arn", "UPDATE_COMPLETE", parameters={"HostedZoneIds": zones}
        )

    def describe(self, name: str) -> Stack | None:
        self.asked.append(name)
        return self._control if name == "control" else None


@pytest.mark.parametrize("zones", ["", "Z9999999999999", f"Z9999999999999,{ZONE}"])
def test_the_zones_are_those_of_the_control_stack(zones: str) -> None:
    for check, raw in (
        (validate_request, {"parameters": REQUESTED}),
        (validate_plan, {"provision": {"parameters": REQUESTED}}),
    ):
        stacks: Any = Control(zones)
        given = {
            "control_stack": "control",
            "declarations": cluster_parameters(),
            "stacks": stacks,
            "registries": REGISTRIES,
        }
        if ZONE in zones:
            check({"clusterName": "demo", **raw}, **given)
            continue
        with pytest.raises(InvalidRequest, match="HostedZoneIds of the control stack lists"):
            check({"clusterName": "demo", **raw}, **given)


def test_without_a_zone_in_the_request_the_control_stack_is_not_read() -> None:
    stacks: Any = Control("")
    validate_request(
        {"clusterName": "demo", "parameters": {"AcceptPlaintext": True}},
        control_stack="control",
        declarations=cluster_parameters(),
        stacks=stacks,
        registries=REGISTRIES,
    )
    assert stacks.asked == ["control-demo"]


def test_names_and_certificate_follow_from_the_parameters() -> None:
    assert names(DEFAULTS) == ()
    assert names(REQUESTED) == (DOMAIN, f"grpc.{DOMAIN}")
    assert names(OWN) == (DOMAIN,)
    assert grpc_name({**OWN, "GrpcDomainName": "zeebe.example.com"}) == "zeebe.example.com"
    assert not has_certificate(DEFAULTS)
    assert has_certificate(REQUESTED)
    assert has_certificate({"CertificateArn": CERTIFICATE})


def told(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    return " ".join(consequences(before, after))


def test_from_clear_to_tls_a_plan_tells_what_clients_have_to_do() -> None:
    text = told(DEFAULTS, {**DEFAULTS, **REQUESTED})
    for said in (
        "becomes https",
        "Port 80 then redirects",
        "gRPC clients have to use TLS",
        "one by one",
    ):
        assert said in text
    assert "waits until ACM has issued" in text
    assert f"name servers of {ZONE}" in text
    assert "in clear" not in text


def test_back_to_clear_a_plan_tells_it_too() -> None:
    text = told({**DEFAULTS, **OWN}, DEFAULTS)
    assert "becomes http, and port 443 is closed" in text
    assert "in clear" in text


def test_a_former_name_is_told_and_what_stays_is_not() -> None:
    before = {**DEFAULTS, **REQUESTED}
    assert told(before, {**before, "LogRetentionDays": "90"}) == ""
    renamed = told(before, {**before, "GrpcDomainName": "zeebe.example.com"})
    assert f"no longer reach the cluster as grpc.{DOMAIN}" in renamed
    assert "waits until ACM has issued" in renamed
    assert "waits" not in told(before, {**before, "CertificateArn": CERTIFICATE})
    assert told({}, {**DEFAULTS, **OWN}) == ""


def test_the_document_has_both_ways_to_the_management_port() -> None:
    text = (ROOT / "docs/front-door.md").read_text().split("## Ways in\n")[1].split("\n## ")[0]
    assert "management (9600), with `ManagementListener: true` |" in text
    after = text.split("|\n\n")[1]
    assert after.startswith("[`manage`](manage.md) opens port 9600 of an internal load balancer")
    (rule,) = [one for one in text.split("\n- ") if one.startswith("Port 9600")]
    assert "or while [`manage`](manage.md) has opened it" in rule
