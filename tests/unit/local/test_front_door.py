"""Certificates, listeners and records of the local AWS: what is accepted, and where names lead."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest

from local.authority import Authority
from local.aws.resource_rights import of_creation, of_deletion, of_update, of_validation
from local.aws.strict.certificate_validation import (
    allows_amazon,
    option,
    validates,
    zone_of,
    zone_refusal,
)
from local.aws.strict.imported_certificates import read
from local.aws.strict.listener_certificates import refusal
from local.aws.strict.record_sets import ZONES, refusals
from local.names import Names
from local.proxy import tls
from local.proxy.records import Follower, Place, places

if TYPE_CHECKING:
    from pathlib import Path

V = ssl.TLSVersion
ZONE = "camunda.test."
ARN = "arn:aws:acm:eu-central-1:000000000000:certificate/1"
BALANCER = "web-1.eu-central-1.elb.amazonaws.com"


def record(name: str, kind: str = "A", *values: str, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": kind, "TTL": "60", "ResourceRecords": list(values), **more}


def alias(name: str, target: str = BALANCER, zone: str = ZONES["application"]) -> dict[str, Any]:
    aimed = {"DNSName": f"{target}.", "HostedZoneId": zone, "EvaluateTargetHealth": False}
    return {"Name": name, "Type": "A", "AliasTarget": aimed}


# --- TLS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", (V.TLSv1_2, V.TLSv1_3)),
        ("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", (V.TLSv1_2, V.TLSv1_3)),
        ("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", (V.TLSv1_2, V.TLSv1_3)),
        ("ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-2023-04", (V.TLSv1_2, V.TLSv1_3)),
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", (V.TLSv1_3, V.TLSv1_3)),
        ("ELBSecurityPolicy-TLS13-1-0-2021-06", (V.TLSv1, V.TLSv1_3)),
        ("ELBSecurityPolicy-2016-08", (V.TLSv1, V.TLSv1_2)),
        ("ELBSecurityPolicy-FS-1-2-Res-2020-10", (V.TLSv1_2, V.TLSv1_2)),
        ("ELBSecurityPolicy-TLS13-1-4-2021-06", None),
        ("", None),
    ],
)
def test_a_security_policy_has_its_versions(policy: str, versions: Any) -> None:
    assert tls.versions(policy) == versions


def test_a_listener_offers_the_versions_of_its_policy() -> None:
    issued = Authority().issue(["camunda.test"])
    policy = "ELBSecurityPolicy-TLS13-1-3-2021-06"
    chain = issued.certificate_pem + issued.chain_pem
    made = tls.context(tls.Terms(chain, issued.key_pem, policy, ("h2",)))
    assert (made.minimum_version, made.maximum_version) == (V.TLSv1_3, V.TLSv1_3)
    with pytest.raises(ValueError, match="no security policy"):
        tls.context(tls.Terms(chain, issued.key_pem, "", ()))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("HTTP", [], "", ""), None),
        (("TCP", [], "", ""), None),
        (("HTTPS", [ARN], "", ""), None),
        (("TLS", [ARN], "ELBSecurityPolicy-TLS13-1-2-2021-06", "HTTP2Preferred"), None),
        (("HTTPS", [], "", ""), "ValidationError"),
        (("TLS", [], "", ""), "ValidationError"),
        (("HTTPS", [ARN], "ELBSecurityPolicy-1", ""), "SSLPolicyNotFound"),
        (("HTTPS", [f"{ARN}0"], "", ""), "CertificateNotFound"),
        (("HTTPS", [ARN.replace("1", "2", 1)], "", ""), "CertificateNotFound"),
        (("HTTPS", [ARN], "", "HTTP2Preferred"), "ALPNPolicyNotSupported"),
        (("TCP", [], "", "HTTP2Preferred"), "ALPNPolicyNotSupported"),
        (("TLS", [ARN], "", "HTTP3"), "ALPNPolicyNotSupported"),
    ],
)
def test_a_listener_takes_an_issued_certificate_of_its_region(given: Any, code: str | None) -> None:
    protocol, arns, policy, alpn = given
    found = refusal(protocol, arns, policy, alpn, {ARN: {"Status": "ISSUED"}})
    assert (found[0] if found else None) == code


@pytest.mark.parametrize("status", ["PENDING_VALIDATION", "FAILED", "EXPIRED"])
def test_a_listener_takes_no_other_certificate(status: str) -> None:
    found = refusal("TLS", [ARN], "", "", {ARN: {"Status": status}})
    assert found is not None
    assert found[0] == "UnsupportedCertificate"


# --- ACM ----------------------------------------------------------------------------------------


def test_a_name_is_validated_by_its_record_in_the_zone_that_answers_for_it() -> None:
    wanted = option("demo.camunda.test", "DNS")
    present = wanted["ResourceRecord"]
    found = record(present["Name"], "CNAME", present["Value"])
    assert validates(wanted, {ZONE: [found]})
    assert validates(wanted, {ZONE: [found | {"ResourceRecords": [present["Value"][:-1]]}]})
    assert not validates(wanted, {ZONE: []})
    assert not validates(wanted, {ZONE: [found | {"ResourceRecords": ["other.test."]}]})
    assert not validates(wanted, {ZONE: [found], "demo.camunda.test.": []})
    assert not validates(wanted, {"other.test.": [found]})
    assert not validates(option("demo.camunda.test", "EMAIL"), {ZONE: [found]})


def test_a_wildcard_has_the_record_of_its_parent_and_other_names_have_others() -> None:
    wild, parent = option("*.camunda.test", "DNS"), option("camunda.test", "DNS")
    assert wild["ResourceRecord"] == parent["ResourceRecord"]
    assert option("grpc.camunda.test", "DNS")["ResourceRecord"] != parent["ResourceRecord"]


def test_the_most_specific_zone_answers() -> None:
    zones: dict[str, list[dict[str, Any]]] = {ZONE: [], "demo.camunda.test.": [], "test.": []}
    assert zone_of("a.demo.camunda.test.", zones) == "demo.camunda.test."
    assert zone_of("xcamunda.test.", zones) == "test."
    assert zone_of("camunda.example.", zones) == ""


@pytest.mark.parametrize(
    ("domain", "values", "allowed"),
    [
        ("demo.camunda.test", [], True),
        ("demo.camunda.test", ['0 issue "amazon.com"'], True),
        ("demo.camunda.test", ['0 issue "letsencrypt.org"', '0 issue "awstrust.com"'], True),
        ("demo.camunda.test", ['0 issue "amazonaws.com; account=1"'], True),
        ("demo.camunda.test", ['0 issue "letsencrypt.org"'], False),
        ("demo.camunda.test", ['0 issue ";"'], False),
        ("demo.camunda.test", ['0 iodef "mailto:a@b.test"'], True),
        ("*.camunda.test", ['0 issue "amazon.com"', '0 issuewild ";"'], False),
        ("*.camunda.test", ['0 issue "amazon.com"'], True),
    ],
)
def test_caa_records_decide_who_may_issue(domain: str, values: list[str], allowed: bool) -> None:
    found = [record(ZONE, "CAA", *values)] if values else []
    assert allows_amazon(domain, {ZONE: found}) is allowed


def test_the_record_of_a_certificate_lies_in_the_zone_that_was_given() -> None:
    zone = {"name": ZONE}
    assert not zone_refusal("demo.camunda.test", "Z1", zone)
    assert not zone_refusal("camunda.test", "Z1", zone)
    assert "not permitted in zone" in zone_refusal("demo.xcamunda.test", "Z1", zone)
    assert "Z1" in zone_refusal("camunda.test", "Z1", None)


def test_an_import_has_the_names_and_the_key_of_its_certificate() -> None:
    authority = Authority()
    one, other = authority.issue(["a.test", "*.a.test"], days=5), authority.issue(["b.test"])
    found = read(one.certificate_pem, one.key_pem, one.chain_pem)
    assert found["DomainName"] == "a.test"
    assert found["SubjectAlternativeNames"] == ["a.test", "*.a.test"]
    assert found["NotAfter"] == one.not_after.strftime("%Y-%m-%dT%H:%M:%SZ")
    for certificate, key, chain, words in (
        (one.certificate_pem, other.key_pem, b"", "does not match"),
        (one.certificate_pem + one.chain_pem, one.key_pem, b"", "more than one"),
        (one.certificate_pem, one.key_pem, Authority().pem, "not in order"),
        (b"none", one.key_pem, b"", "not a valid PEM"),
        (one.certificate_pem, b"none", b"", "not a valid PEM"),
    ):
        with pytest.raises(ValueError, match=words):
            read(certificate, key, chain)


# --- Route 53 -----------------------------------------------------------------------------------

PRESENT = [record("www.camunda.test.", "CNAME", "x.test."), record("a.camunda.test.")]
BALANCERS = {BALANCER: ZONES["application"]}


@pytest.mark.parametrize(
    ("action", "given", "words"),
    [
        ("CREATE", record("b.camunda.test."), ""),
        ("UPSERT", record("a.camunda.test.", "A", "192.0.2.1"), ""),
        ("CREATE", record("a.camunda.test.", "TXT", '"x"'), ""),
        ("DELETE", record("a.camunda.test."), ""),
        ("CREATE", alias("b.camunda.test."), ""),
        ("CREATE", alias("b.camunda.test.", f"dualstack.{BALANCER}"), ""),
        ("CREATE", record("a.camunda.test."), "but it already exists"),
        ("CREATE", record("A.camunda.test."), "but it already exists"),
        ("CREATE", record("b.xcamunda.test."), "is not permitted in zone camunda.test."),
        ("CREATE", record("a.camunda.test.", "CNAME", "b.test."), "conflicts with other records"),
        ("CREATE", record("www.camunda.test."), "a conflicting RRSet of type CNAME"),
        ("CREATE", record(ZONE, "CNAME", "b.test."), "at apex"),
        ("DELETE", record("b.camunda.test."), "but it was not found"),
        ("DELETE", record("a.camunda.test.", "A", "192.0.2.1"), "do not match the current values"),
        ("UPSERT", alias("b.camunda.test.", f"x-{BALANCER}"), "that target was not found"),
        ("UPSERT", alias("b.camunda.test.", zone="Z1"), "does not lie within the target zone"),
    ],
)
def test_route_53_refuses_what_dns_does_not_allow(
    action: str, given: dict[str, Any], words: str
) -> None:
    found = refusals([(action, given)], ZONE, PRESENT, BALANCERS)
    assert bool(found) is bool(words)
    assert all(words in one for one in found)


def test_a_batch_is_seen_in_its_order() -> None:
    swap = [("DELETE", PRESENT[0]), ("CREATE", record("www.camunda.test."))]
    assert refusals(swap, ZONE, PRESENT, BALANCERS) == []
    assert refusals(swap[::-1], ZONE, PRESENT, BALANCERS) != []


def test_names_lead_to_load_balancers_with_their_ports() -> None:
    web = Place(("127.41.0.4",), {443: ("127.41.0.4", 10443)})
    found = places(
        [
            alias("demo.camunda.test."),
            record("www.camunda.test.", "CNAME", "demo.camunda.test"),
            record("old.camunda.test.", "CNAME", f"{BALANCER}."),
            record("fixed.camunda.test.", "A", "192.0.2.1"),
            record("*.camunda.test.", "A", "192.0.2.2"),
            record("loop.camunda.test.", "CNAME", "loop.camunda.test."),
            record("text.camunda.test.", "TXT", '"x"'),
            alias("gone.camunda.test.", "gone.elb.amazonaws.com"),
        ],
        {BALANCER: web},
    )
    assert found == {
        "demo.camunda.test": web,
        "www.camunda.test": web,
        "old.camunda.test": web,
        "fixed.camunda.test": Place(("192.0.2.1",)),
    }


def test_only_names_of_records_are_removed(tmp_path: Path) -> None:
    names = Names(tmp_path / "names.json")
    names.set("database", ["127.41.0.3"])
    follower = Follower(names)
    follower.follow({"demo.test": Place(("127.41.0.4",), {443: ("127.41.0.4", 10443)})})
    assert names.resolve("demo.test", 443) == (("127.41.0.4", 10443),)
    follower.follow({"demo.test": Place(("127.41.0.5",))})
    assert names.resolve("demo.test", 443) == (("127.41.0.5", 443),)
    follower.follow({})
    assert names.lookup("demo.test") == ()
    assert names.lookup("database") == ("127.41.0.3",)


RECORD = "AWS::Route53::RecordSet"


def test_a_change_of_a_record_is_authorised_by_its_zone_name_type_and_action() -> None:
    properties = {"HostedZoneId": "Z1", "Name": "Demo.camunda.test.", "Type": "A"}
    change = "route53:ChangeResourceRecordSets"

    def needed(action: str) -> list[Any]:
        keys = {
            f"{change}Actions": action,
            f"{change}NormalizedRecordNames": "demo.camunda.test",
            f"{change}RecordTypes": "A",
        }
        return [(change, "arn:aws:route53:::hostedzone/Z1", keys)]

    assert list(of_creation(RECORD, "Name", properties, "stack", {})) == needed("CREATE")
    assert list(of_update(RECORD, "its", properties, properties, {})) == needed("UPSERT")
    assert list(of_deletion(RECORD, "its", properties, {})) == needed("DELETE")


def test_a_certificate_needs_the_right_to_write_its_records_into_the_zone() -> None:
    options = [{"DomainName": "camunda.test", "HostedZoneId": "Z1"}, {"DomainName": "b.test"}]
    ((action, zone, keys),) = of_validation({"DomainValidationOptions": options})
    assert (action, zone) == ("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z1")
    assert keys[f"{action}RecordTypes"] == "CNAME"
    assert keys[f"{action}NormalizedRecordNames"].endswith(".camunda.test")
