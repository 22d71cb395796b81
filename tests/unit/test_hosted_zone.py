"""The zone in which ACM validates the names, as it is judged and as it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import account
from lifecycle.cluster.checks import Check, Result
from lifecycle.preflight.hosted_zone import HostedZone, Record, check_zone, upwards
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "Z0123456789ABC"
NAMES = ("camunda.example.com", "grpc.camunda.example.com")
SERVERS = ("ns-1.example", "ns-2.example")


def zone(*records: Record, **changes: Any) -> HostedZone:
    given: dict[str, Any] = {"name": "example.com", "servers": SERVERS, "records": records}
    return HostedZone(**{**given, **changes})


def check(
    found: HostedZone,
    *,
    ours: tuple[str, ...] = (),
    requests: bool = True,
    validates: bool = False,
    names: Any = NAMES,
) -> Check:
    return check_zone(ID, found, names, ours=ours, requests=requests, validates=validates)


def test_a_public_zone_with_free_names_passes_and_names_its_servers() -> None:
    found = check(zone())
    assert found.result is Result.PASS
    assert "not checked: that public DNS delegates example.com to ns-1.example" in found.seen


@pytest.mark.parametrize(
    ("found", "seen", "remedy"),
    [
        (HostedZone(""), "is not there", "Set HostedZoneId"),
        (HostedZone("", denied=True), "access is denied", "HostedZoneIds of the control stack"),
        (zone(private=True), "is private", "Set HostedZoneId"),
        (zone(name="example.org"), "does not lie in example.org", "Set HostedZoneId"),
        (zone(name="ample.com"), "does not lie in ample.com", "Set HostedZoneId"),
        (
            zone(Record("camunda.example.com", "NS", ("ns-9.example",))),
            "delegates camunda.example.com to ns-9.example",
            "the hosted zone of camunda.example.com",
        ),
        *(
            (zone(Record(NAMES[1], kind, ("x",))), f"has a record already: {kind} x", "Delete")
            for kind in ("A", "AAAA", "CNAME")
        ),
        (
            zone(Record("example.com", "CAA", ('0 issue "letsencrypt.org"',))),
            "CAA records of example.com do not let Amazon issue",
            '0 issue "amazon.com"',
        ),
    ],
)
def test_what_would_keep_acm_waiting_or_fail_is_refused(
    found: HostedZone, seen: str, remedy: str
) -> None:
    refused = check(found)
    assert refused.result is Result.FAIL
    assert seen in refused.seen
    assert remedy in refused.remedy
    # The same zone and names, of a cluster that has them: it stays as it is.
    assert check(found, ours=NAMES).result is not Result.FAIL


@pytest.mark.parametrize(
    "found",
    [
        zone(Record("example.com", "CAA", ('0 issue "letsencrypt.org"',))),
        zone(Record("camunda.example.com", "NS", ("ns-9.example",))),
        zone(private=True),
    ],
)
def test_names_that_a_cluster_has_do_not_make_a_certificate_that_is_new_wait(
    found: HostedZone,
) -> None:
    # The records are there already; the certificate is not, and CloudFormation would wait for it.
    assert check(found, ours=NAMES, validates=True).result is Result.FAIL
    assert check(zone(), ours=NAMES, validates=True).result is Result.PASS


def test_everything_that_is_wrong_is_told_at_once() -> None:
    caa = Record("example.com", "CAA", ('0 issue ";"',))
    found = check(zone(caa, Record(NAMES[0], "A", ("192.0.2.1",))))
    assert "192.0.2.1" in found.seen
    assert "CAA" in found.seen


def test_records_of_the_stack_itself_are_not_in_its_way() -> None:
    records = [Record(name, "A", ("x.elb.amazonaws.com",)) for name in NAMES]
    assert check(zone(*records), ours=NAMES).result is Result.PASS
    more = check(zone(*records), ours=NAMES[:1])
    assert more.result is Result.FAIL
    assert more.seen.startswith(f"{NAMES[1]} has a record already")
    other = Record(NAMES[0], "TXT", ("x",))
    assert check(zone(other)).result is Result.PASS


@pytest.mark.parametrize(
    ("values", "allowed"),
    [
        (('0 issue "amazon.com"',), True),
        (('0 issue "letsencrypt.org"', '0 issue "awstrust.com"'), True),
        (('0 issue "amazonaws.com; account=1"',), True),
        (('128 issue "amazontrust.com"',), True),
        (('0 ISSUE "Amazon.com"',), True),
        (('0 iodef "mailto:a@example.com"',), True),
        (('0 issuewild "letsencrypt.org"',), True),
        (('0 issue ";"',), False),
        (('0 issue "notamazon.com"',), False),
        (('0 issue "amazon.com.evil.example"',), False),
        (('0 issue "amazon.com"', '128 unheardof "x"'), False),
    ],
)
def test_caa_records_decide_as_rfc_8659_has_it(values: tuple[str, ...], allowed: bool) -> None:
    found = check(zone(Record("example.com", "CAA", values)))
    assert (found.result is Result.PASS) == allowed


def test_the_closest_caa_records_decide_and_only_for_a_requested_certificate() -> None:
    above = Record("example.com", "CAA", ('0 issue "letsencrypt.org"',))
    closer = Record("camunda.example.com", "CAA", ('0 issue "amazon.com"',))
    assert check(zone(above, closer)).result is Result.PASS
    assert check(zone(above), requests=False).result is Result.PASS


def test_the_names_above_a_name_end_with_its_zone() -> None:
    assert list(upwards("a.b.example.com", "example.com")) == [
        "a.b.example.com",
        "b.example.com",
        "example.com",
    ]
    assert list(upwards("example.com", "example.com")) == ["example.com"]
    assert list(upwards("anexample.com", "example.com")) == []


@pytest.fixture
def route53(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with mock_aws():
        api = boto3.client("route53", region_name="eu-central-1")
        monkeypatch.setattr(account, "client", lambda *_, **__: api)
        yield api


def create(api: Any, *records: dict[str, Any]) -> str:
    made = api.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    api.change_resource_record_sets(
        HostedZoneId=made,
        ChangeBatch={
            "Changes": [{"Action": "CREATE", "ResourceRecordSet": one} for one in records]
        },
    )
    return str(made.rpartition("/")[2])


def plain(name: str, kind: str, *values: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": kind,
        "TTL": 60,
        "ResourceRecords": [{"Value": value} for value in values],
    }


def test_a_zone_is_read_with_the_records_that_count(route53: Any) -> None:
    alias = {
        "Name": NAMES[0],
        "Type": "A",
        "AliasTarget": {
            "DNSName": "x.elb.amazonaws.com.",
            "HostedZoneId": "Z215JYRZR1TBD5",
            "EvaluateTargetHealth": False,
        },
    }
    made = create(
        route53,
        alias,
        plain("example.com", "CAA", '0 issue "amazon.com"'),
        plain("other.example.com", "A", "192.0.2.1"),
        plain("below.camunda.example.com", "A", "192.0.2.2"),
    )
    found = account._hosted_zone(made, NAMES)
    assert (found.name, found.private, found.denied) == ("example.com", False, False)
    assert found.servers
    assert Record(NAMES[0], "A", ("x.elb.amazonaws.com",)) in found.records
    assert Record("example.com", "CAA", ('0 issue "amazon.com"',)) in found.records
    assert {one.name for one in found.records} == {"example.com", NAMES[0]}


def test_a_zone_that_is_not_there_is_told(route53: Any) -> None:
    assert account._hosted_zone("Z0000000000000", NAMES) == HostedZone("")


def test_a_zone_that_may_not_be_read_is_told(route53: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: Any) -> Any:
        details = {"Error": {"Code": "AccessDenied", "Message": "not authorized"}}
        raise route53.exceptions.ClientError(details, "GetHostedZone")

    monkeypatch.setattr(route53, "get_hosted_zone", denied)
    assert account._hosted_zone(ID, NAMES) == HostedZone("", denied=True)
