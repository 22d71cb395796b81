"""The front door of a cluster: its names, its certificate, and whether clients reach it in clear.

``parameters`` are all that the cluster has or will have, as CloudFormation takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.cluster.validation import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DOMAIN: Final = "DomainName"
GRPC: Final = "GrpcDomainName"
ZONE: Final = "HostedZoneId"
CERTIFICATE: Final = "CertificateArn"
PLAINTEXT: Final = "AcceptPlaintext"
ZONES: Final = "HostedZoneIds"
"""Parameter of the control stack: the zones in which clusters may have names."""

# A certificate's common name: https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
_LONGEST_COMMON_NAME: Final = 64
_LONGEST_NAME: Final = 253
_CHOICES: Final = (
    f"{DOMAIN} with a {ZONE} (the stack requests the certificate), {CERTIFICATE} (your own), or "
    f"{PLAINTEXT} true: passwords and process data then cross the network unencrypted"
)


def has_records(parameters: Mapping[str, str]) -> bool:
    """Return whether the stack creates the DNS records of the cluster's names."""
    return bool(parameters.get(DOMAIN) and parameters.get(ZONE))


def requests_certificate(parameters: Mapping[str, str]) -> bool:
    """Return whether the stack requests the certificate from ACM."""
    return has_records(parameters) and not parameters.get(CERTIFICATE)


def has_certificate(parameters: Mapping[str, str]) -> bool:
    """Return whether the load balancers have a certificate, given or requested."""
    return bool(parameters.get(CERTIFICATE)) or requests_certificate(parameters)


def grpc_name(parameters: Mapping[str, str]) -> str:
    """Return the domain name of gRPC; empty where clients use AWS's name of the load balancer."""
    given = parameters.get(GRPC, "")
    return given or (f"grpc.{parameters[DOMAIN]}" if has_records(parameters) else "")


def names(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Return the domain names of the cluster, that of the web applications first."""
    return tuple(filter(None, (parameters.get(DOMAIN, ""), grpc_name(parameters))))


def problems(
    parameters: Mapping[str, str],
    present: Mapping[str, str],
    requested: Mapping[str, str],
    zones: Sequence[str] | None = None,
) -> list[Problem]:
    """Refuse names without a certificate, and a cluster in clear without AcceptPlaintext.

    ``present`` are the parameters of the cluster's stack, empty before its creation; a cluster that
    is in clear already stays as it is. ``requested`` are those that the request names, in which
    ``AcceptPlaintext`` stands for a cluster that loses its certificate; ``zones``
    the control stack's, None not to compare with them.
    """
    found = [
        *_of_names(parameters),
        *_of_zone(parameters, requested, zones),
        *_exchanged(parameters, present),
    ]
    if found or has_certificate(parameters):
        return found
    # What accepted it before the cluster had a certificate does not accept to lose that.
    accepts = requested if has_certificate(present) else parameters
    if accepts.get(PLAINTEXT) == "true":
        return []
    if parameters.get("LoadBalancerScheme") == "internet-facing":
        return [
            Problem(
                f"parameters.{CERTIFICATE}",
                None,
                "with an internet-facing load balancer, the ARN of a certificate, or "
                f"{DOMAIN} with a {ZONE} (or {PLAINTEXT} true: passwords would cross the internet "
                "unencrypted)",
            )
        ]
    if not present or has_certificate(present):
        given = requested.get(PLAINTEXT)
        return [Problem(f"parameters.{PLAINTEXT}", given, f"with a certificate: {_CHOICES}")]
    return []


def _of_names(parameters: Mapping[str, str]) -> list[Problem]:
    domain, grpc = parameters.get(DOMAIN, ""), parameters.get(GRPC, "")
    found = []
    if parameters.get(ZONE) and not domain:
        allowed = f"with a {ZONE}, the name of the cluster in that zone"
        return [Problem(f"parameters.{DOMAIN}", None, allowed)]
    if (domain or grpc) and not has_certificate(parameters):
        which = DOMAIN if domain else GRPC
        allowed = f"with a {which}, the certificate issued for it, or a {ZONE} to request one"
        found.append(Problem(f"parameters.{CERTIFICATE}", None, allowed))
    if grpc and grpc == domain:
        allowed = f"another name than {DOMAIN}: each load balancer has its own record"
        found.append(Problem(f"parameters.{GRPC}", grpc, allowed))
    if requests_certificate(parameters) and len(domain) > _LONGEST_COMMON_NAME:
        allowed = (
            f"at most {_LONGEST_COMMON_NAME} characters, of which ACM makes the common name, or a "
            f"{CERTIFICATE}"
        )
        found.append(Problem(f"parameters.{DOMAIN}", domain, allowed))
    if len(grpc_name(parameters)) > _LONGEST_NAME:
        allowed = f"a name of gRPC, because grpc.{DOMAIN} is longer than {_LONGEST_NAME} characters"
        found.append(Problem(f"parameters.{GRPC}", grpc or None, allowed))
    return found


def _exchanged(parameters: Mapping[str, str], present: Mapping[str, str]) -> list[Problem]:
    """Refuse a name that the other record has: CloudFormation creates records before it deletes.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-route53-recordset.html
    """
    if not (has_records(parameters) and has_records(present)):
        return []
    if parameters[ZONE] != present[ZONE]:
        return []
    (web, grpc), (was_web, was_grpc) = names(parameters), names(present)
    allowed = (
        "a name that the other load balancer does not have: its record exists until the change is "
        "complete; give that one another name first"
    )
    return [
        Problem(f"parameters.{field}", name, allowed)
        for field, name, other in ((DOMAIN, web, was_grpc), (GRPC, grpc, was_web))
        if name == other
    ]


def _of_zone(
    parameters: Mapping[str, str], requested: Mapping[str, str], zones: Sequence[str] | None
) -> list[Problem]:
    zone = parameters.get(ZONE, "")
    if not zone or zone in (zones or ()) or zones is None or ZONE not in requested:
        return []
    listed = ", ".join(zones) or "none"
    allowed = f"a hosted zone that {ZONES} of the control stack lists: {listed}"
    return [Problem(f"parameters.{ZONE}", zone, allowed)]


def consequences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return what a change means for clients, in sentences; ``before`` is empty without a cluster.

    Sources: https://www.rfc-editor.org/rfc/rfc9110#section-15.4.2 (a redirected POST),
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-certificatemanager-certificate.html
    """
    found = []
    encrypted, was = has_certificate(after), has_certificate(before)
    if not encrypted:
        found.append(
            "Clients reach the load balancers in clear: who is on the way reads and changes "
            "passwords and process data, of REST, the web applications and gRPC. "
            f"{DOMAIN} with a {ZONE}, or {CERTIFICATE}, encrypts it."
        )
    if before and encrypted != was:
        found.append(_ENCRYPTED if encrypted else _IN_CLEAR)
    if before and encrypted and was and (former := set(names(before)) - set(names(after))):
        found.append(
            f"Clients no longer reach the cluster as {' and '.join(sorted(former))}: change their "
            "addresses. The certificate does not have to name it any more, and a record that the "
            "stack created is removed."
        )
    if requests_anew(before, after):
        found.append(
            f"CloudFormation waits until ACM has issued the certificate for "
            f"{' and '.join(names(after))}, usually some minutes. If public DNS does not delegate "
            f"to the name servers of {after[ZONE]}, it waits in vain, for up to 36 hours."
        )
    return found


def requests_anew(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Return whether a change makes CloudFormation wait for a certificate that ACM is to issue.

    ``before`` is empty without a cluster, and while its creation is incomplete.
    """
    return requests_certificate(after) and _of_request(before) != _of_request(after)


def _of_request(parameters: Mapping[str, str]) -> tuple[str, ...]:
    if not requests_certificate(parameters):
        return ()
    return (parameters[ZONE], *names(parameters))


_ENCRYPTED: Final = (
    "The URL of REST and the web applications becomes https. Port 80 then redirects: browsers "
    "follow, but many clients repeat a redirected POST as GET, so change their URL. gRPC clients "
    "have to use TLS as soon as the listener does, and fail until then. Brokers and connectors are "
    "replaced one by one, because they have to accept the load balancer's forwarded headers."
)
_IN_CLEAR: Final = (
    "The URL of REST and the web applications becomes http, and port 443 is closed. gRPC clients "
    "must no longer use TLS. Brokers and connectors are replaced one by one."
)
