"""The API under a name of its own: what it needs, and where it leads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.nested import CONTROL
from tests.unit.templates.resolver import Resolved, broken_rules, resolve
from tools.generate_parameters import ROOT, load_template

NAME = "lifecycle.example.com"
ZONE = "Z0123456789ABCDEFGHIJ"
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/0f3a1b2c"


def domain(**given: str) -> Resolved:
    values = {
        "ControlStack": "camunda-lifecycle",
        "ApiId": "a1b2c3",
        "Stage": "v1",
        "DomainName": NAME,
        "CertificateArn": "",
        "HostedZoneId": "",
    }
    return resolve("api-domain", **{**values, **given})


def rules(**given: str) -> list[str]:
    return broken_rules("../template", **given)


def test_by_default_the_api_has_the_name_of_api_gateway() -> None:
    root = load_template(CONTROL)
    assert root["Parameters"]["ApiDomainName"]["Default"] == ""
    assert root["Resources"]["ApiDomain"]["Condition"] == "HasApiDomain"
    assert root["Outputs"]["ApiRegionalName"]["Condition"] == "HasApiDomain"
    assert rules() == []


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"ApiDomainName": NAME}, "ApiDomainName needs ApiCertificateArn, or ApiHostedZoneId"),
        ({"ApiDomainName": NAME, "ApiHostedZoneId": ZONE}, ""),
        ({"ApiDomainName": NAME, "ApiCertificateArn": CERTIFICATE}, ""),
        ({"ApiDomainName": NAME, "ApiCertificateArn": CERTIFICATE, "ApiHostedZoneId": ZONE}, ""),
        ({"ApiHostedZoneId": ZONE}, "need ApiDomainName"),
        ({"ApiCertificateArn": CERTIFICATE}, "need ApiDomainName"),
    ],
)
def test_a_name_needs_a_certificate_and_the_rest_needs_a_name(
    given: dict[str, str], refused: str
) -> None:
    found = rules(**given)
    assert [one for one in found if refused in one] == found
    assert bool(found) == bool(refused)


def test_without_a_certificate_the_zone_validates_one() -> None:
    made = domain(HostedZoneId=ZONE)
    assert made.properties("Certificate")["DomainValidationOptions"] == [
        {"DomainName": NAME, "HostedZoneId": ZONE}
    ]
    assert made.properties("Name")["RegionalCertificateArn"] == "ref(Certificate)"
    record = made.properties("Record")
    assert (record["Name"], record["Type"], record["HostedZoneId"]) == (NAME, "A", ZONE)
    assert record["AliasTarget"] == {
        "DNSName": "att(Name.RegionalDomainName)",
        "HostedZoneId": "att(Name.RegionalHostedZoneId)",
    }


def test_with_a_certificate_none_is_requested() -> None:
    made = domain(CertificateArn=CERTIFICATE)
    assert made.resources.keys() == {"Name", "Mapping"}
    assert made.properties("Name")["RegionalCertificateArn"] == CERTIFICATE
    both = domain(CertificateArn=CERTIFICATE, HostedZoneId=ZONE)
    assert both.resources.keys() == {"Name", "Mapping", "Record"}


def test_paths_are_the_same_under_both_names() -> None:
    """The base path is the stage, so that what a response links to works under either."""
    mapping = domain(CertificateArn=CERTIFICATE).properties("Mapping")
    assert (mapping["BasePath"], mapping["Stage"], mapping["RestApiId"]) == ("v1", "v1", "a1b2c3")


def test_the_name_is_used_wherever_the_url_is_given() -> None:
    """In the output, in messages and on the dashboard: one name, and the same condition."""
    root: dict[str, Any] = load_template(CONTROL)
    resources = root["Resources"]
    places = [
        root["Outputs"]["ApiUrl"]["Value"],
        resources["SendMessage"]["Properties"]["Environment"]["Variables"]["API_URL"],
        resources["Monitoring"]["Properties"]["Parameters"]["ApiUrl"],
    ]
    for place in places:
        condition, named, _ = place["Fn::If"]
        assert condition == "HasApiDomain"
        assert named == {"Fn::GetAtt": ["ApiDomain", "Outputs.Url"]}
    written = CONTROL.read_text()
    assert written.count("execute-api.${AWS::Region}") == len(places)


def test_the_deployer_changes_no_records_but_those_of_the_name_and_of_its_validation() -> None:
    """No NS, MX, TXT or CAA, as the deployment role of the clusters."""
    policy = json.loads((ROOT / "docs" / "api-domain-policy.json").read_text(encoding="utf-8"))
    changes = [
        one
        for one in policy["Statement"]
        if "route53:ChangeResourceRecordSets" in [one["Action"], *one["Action"]]
    ]
    types = domain(HostedZoneId=ZONE).of_type("AWS::Route53::RecordSet").values()
    assert {one["Type"] for one in types} == {"A"}
    assert [one["Condition"]["ForAllValues:StringEquals"] for one in changes] == [
        {"route53:ChangeResourceRecordSetsRecordTypes": ["A", "CNAME"]}
    ]
