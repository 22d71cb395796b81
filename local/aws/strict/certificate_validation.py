"""ACM issues a certificate when public DNS has the records that it asked for, and not before."""

from __future__ import annotations

import hashlib
import re
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from local.authority import Authority
from local.aws.emulator import acm, provisioners, route53, stacks
from local.aws.strict import Rule
from local.config import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from local.aws.strict import Strictness

    type Records = Mapping[str, Sequence[Mapping[str, Any]]]
    """Record sets by the name of their public zone, which ends with a dot."""

_TYPE: Final = "AWS::CertificateManager::Certificate"
_PENDING: Final = "PENDING_VALIDATION"
_DOMAIN: Final = re.compile(
    r"(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])"
)
_POLL_SECONDS: Final = 0.2
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
# https://docs.aws.amazon.com/acm/latest/userguide/setup-caa.html
_ISSUERS: Final = ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com")

STOPPING: Final = threading.Event()
"""Set when the instance stops, so that no stack waits any longer."""


def install(strictness: Strictness) -> None:
    """Let requested certificates wait, and stacks with them."""
    config = strictness.instance.config

    def settle() -> None:
        _settle(Authority.of(config))

    acm.validation_options = option
    acm.request_certificate = _requested(acm.request_certificate)
    acm.describe_certificate = _after(settle, acm.describe_certificate)
    acm.list_certificates = _after(settle, acm.list_certificates)
    acm.get_certificate = _after(settle, _issued_only(acm.get_certificate))
    acm.cert_shape = _without_times(acm.cert_shape)
    handlers = provisioners.RESOURCE_HANDLERS[_TYPE]
    handlers["create"] = _created(handlers["create"], settle)
    handlers["update"] = _updated(handlers["update"], settle)
    stacks.runs_on_worker_thread = _with_certificates(stacks.runs_on_worker_thread)


def _after(settle: Any, own: Any) -> Any:
    def act(data: dict[str, Any]) -> Any:
        settle()
        return own(data)

    return act


def _requested(own: Any) -> Any:
    def request(data: dict[str, Any]) -> Any:
        names = {str(data.get("DomainName", "")), *data.get("SubjectAlternativeNames", [])}
        for name in sorted(names):
            if not _DOMAIN.fullmatch(name):
                return acm.error_response_json(
                    "ValidationException", f"Value at 'domainName' is not a domain: {name}", 400
                )
        before = set(acm.certificates)
        answer = own({"ValidationMethod": "EMAIL"} | data)
        for arn in set(acm.certificates) - before:
            acm.certificates[arn]["Status"] = _PENDING
        return answer

    return request


def _issued_only(own: Any) -> Any:
    def get(data: dict[str, Any]) -> Any:
        found = acm.certificates.get(data.get("CertificateArn", ""))
        if found and found["Status"] != "ISSUED":
            return acm.error_response_json(
                "RequestInProgressException",
                f"Certificate {found['CertificateArn']} is not issued",
                400,
            )
        return own(data)

    return get


def _without_times(own: Any) -> Any:
    """What was not issued has no dates of validity."""

    def shape(certificate: dict[str, Any]) -> Any:
        found = own(certificate)
        if certificate["Status"] != "ISSUED":
            for name in ("IssuedAt", "NotBefore", "NotAfter"):
                found.pop(name, None)
        if reason := certificate.get("FailureReason"):
            found["FailureReason"] = reason
        return found

    return shape


def _created(own: Any, settle: Any) -> Any:
    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        zones = _zones(properties)
        arn, attributes = own(logical_id, {"ValidationMethod": "EMAIL", **properties}, stack)
        _validate(acm.certificates[arn], zones, settle)
        return arn, attributes

    return create


def _updated(own: Any, settle: Any) -> Any:
    """A replacement is a new certificate, which has to be issued before the former one goes."""

    def update(physical_id: str, before: Any, after: Mapping[str, Any], *rest: Any) -> Any:
        zones = _zones(after)
        arn, attributes = own(physical_id, before, {"ValidationMethod": "EMAIL", **after}, *rest)
        if arn != physical_id:
            _validate(acm.certificates[arn], zones, settle)
        return arn, attributes

    return update


def _zones(properties: Mapping[str, Any]) -> dict[str, str]:
    """Hosted zone of each name for which CloudFormation writes the record."""
    found = {
        one["DomainName"]: str(one["HostedZoneId"])
        for one in properties.get("DomainValidationOptions") or ()
        if one.get("HostedZoneId")
    }
    for domain, zone in found.items():
        if refused := zone_refusal(domain, zone, route53.zones.get(zone)):
            raise ValueError(refused)
    return found


def _validate(certificate: dict[str, Any], zones: Mapping[str, str], settle: Any) -> None:
    """Write the records into the given zones, and wait until the certificate is issued."""
    certificate["Status"] = _PENDING
    for one in _options(certificate):
        if zone := zones.get(one["DomainName"]):
            _upsert(zone, one["ResourceRecord"])
    while certificate["Status"] == _PENDING:
        settle()
        if certificate["Status"] == _PENDING and STOPPING.wait(_POLL_SECONDS):
            raise ValueError("The local AWS stops")
    if certificate["Status"] != "ISSUED":
        arn, reason = certificate["CertificateArn"], certificate["FailureReason"]
        raise ValueError(f"Certificate {arn} was not issued: {reason}")


def _with_certificates(own: Any) -> Any:
    return lambda kind: kind == _TYPE or own(kind)


def _upsert(zone: str, record: Mapping[str, str]) -> None:
    wanted = {
        "Name": record["Name"],
        "Type": record["Type"],
        "TTL": "300",
        "ResourceRecords": [record["Value"]],
    }
    with route53.lock:
        others = [
            one
            for one in route53.records[zone]
            if (one["Name"], one["Type"]) != (record["Name"], record["Type"])
        ]
        route53.records[zone] = [*others, wanted]


def _settle(authority: Authority) -> None:
    pending = [one for one in list(acm.certificates.values()) if one["Status"] == _PENDING]
    if not pending:
        return
    with route53.lock:
        public = [zone for zone in route53.zones.values() if not zone.get("private")]
        records: dict[str, list[Mapping[str, Any]]] = {}
        for zone in public:
            records.setdefault(zone["name"], []).extend(route53.records[zone["id"]])
    for certificate in pending:
        for one in certificate["DomainValidationOptions"]:
            if validates(one, records):
                one["ValidationStatus"] = "SUCCESS"
        if any(one["ValidationStatus"] != "SUCCESS" for one in _options(certificate)):
            continue
        if any(not allows_amazon(one["DomainName"], records) for one in _options(certificate)):
            certificate |= {"Status": "FAILED", "FailureReason": "CAA_ERROR"}
            continue
        issued = authority.issue(certificate["SubjectAlternativeNames"])
        now = datetime.now(UTC).strftime(_TIME)
        certificate |= {
            "Status": "ISSUED",
            "IssuedAt": now,
            "NotBefore": now,
            "NotAfter": issued.not_after.strftime(_TIME),
            "_pem_body": issued.certificate_pem.decode(),
            "_pem_chain": issued.chain_pem.decode(),
            "_private_key": issued.key_pem.decode(),
        }


def _options(certificate: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    found: Iterable[Mapping[str, Any]] = certificate["DomainValidationOptions"]
    return found


def option(domain: str, method: str) -> dict[str, Any]:
    """Give what ACM wants to see for one name; the same for a wildcard and its parent.

    It depends on the account and the name only, so a second certificate for the name needs no new
    record: https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
    """
    base = domain.removeprefix("*.")
    digest = hashlib.sha256(f"{ACCOUNT_ID} {base}".encode()).hexdigest()
    found: dict[str, Any] = {
        "DomainName": domain,
        "ValidationDomain": base,
        "ValidationMethod": method,
        "ValidationStatus": _PENDING,
    }
    if method == "DNS":
        found["ResourceRecord"] = {
            "Name": f"_{digest[:32]}.{base}.",
            "Type": "CNAME",
            "Value": f"_{digest[32:]}.acm-validations.aws.",
        }
    return found


def validates(option: Mapping[str, Any], public: Records) -> bool:
    """Whether public DNS has the record of one name, in the zone that answers for it."""
    record = option.get("ResourceRecord")
    if record is None:
        return bool(option["ValidationStatus"] == "SUCCESS")
    return any(
        (one["Name"], one["Type"]) == (record["Name"], record["Type"])
        and [value.rstrip(".") for value in one.get("ResourceRecords", ())]
        == [record["Value"].rstrip(".")]
        for one in public.get(zone_of(record["Name"], public), ())
    )


def zone_of(name: str, public: Records) -> str:
    """Name of the most specific zone for a name that ends with a dot; empty without one."""
    found = [zone for zone in public if name == zone or name.endswith(f".{zone}")]
    return max(found, key=len, default="")


def allows_amazon(domain: str, public: Records) -> bool:
    """Whether the nearest CAA records, if there are any, name one of Amazon's authorities.

    https://docs.aws.amazon.com/acm/latest/userguide/setup-caa.html
    """
    tag = "issuewild" if domain.startswith("*.") else "issue"
    labels = domain.removeprefix("*.").rstrip(".").split(".")
    for start in range(len(labels)):
        name = ".".join(labels[start:]) + "."
        values = [
            value
            for one in public.get(zone_of(name, public), ())
            if (one["Name"], one["Type"]) == (name, "CAA")
            for value in one.get("ResourceRecords", ())
        ]
        if values:
            read = [re.fullmatch(r'\d+\s+(\w+)\s+"([^";]*).*', value) for value in values]
            given = [(one[1].lower(), one[2].strip()) for one in read if one]
            wanted = tag if any(kind == tag for kind, _ in given) else "issue"
            issuers = [issuer for kind, issuer in given if kind == wanted]
            return not issuers or any(issuer in _ISSUERS for issuer in issuers)
    return True


def zone_refusal(domain: str, zone_id: str, zone: Mapping[str, Any] | None) -> str:
    """Why CloudFormation cannot write the record of a name into a zone; empty if it can."""
    if zone is None:
        return f"No hosted zone found with ID: {zone_id}"
    name = f"{domain.removeprefix('*.')}."
    if name != zone["name"] and not name.endswith(f".{zone['name']}"):
        return f"RRSet with DNS name {name} is not permitted in zone {zone['name']}"
    return ""


RULE: Final = Rule(
    name="certificate-validation",
    does="A requested certificate is `PENDING_VALIDATION` until a public hosted zone has the CNAME"
    " of each of its names, and fails if CAA records name other authorities. CloudFormation writes"
    " these records if it is given the hosted zone, waits until the certificate is issued, and"
    " leaves the records when it deletes the certificate.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-certificatemanager-certificate.html"
    " and https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1603",
    caught="nothing yet.",
    install=install,
)
