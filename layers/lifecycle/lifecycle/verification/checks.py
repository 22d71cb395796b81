"""Checks of the verification: brokers, targets, the ways through the load balancers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lifecycle.cluster.checks import SHORTEST_DAYS, Check, Result, TargetHealth
from lifecycle.errors import (
    CertificateAuthorityUnknown,
    CertificateRefused,
    Failure,
    HostUnresolved,
    VerificationFailed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cluster.contract import ClusterOutputs


@dataclass(frozen=True, slots=True)
class Front:
    """How clients reach a load balancer: with TLS by a domain name, or in clear.

    ``domain`` is empty where the cluster has no DomainName; AWS's own name of a load balancer never
    stands in its place. ``balancer`` is AWS's name, at which a DNS record of the domain points;
    empty where there is no such record, or the name is not known.
    """

    tls: bool
    domain: str = ""
    balancer: str = ""


_BALANCER: Final = "Check the target group's health checks and the security groups."


_OF_AWS: Final = re.compile(r"(?:^|\.)amazonaws\.com(?:\.cn)?$")


_DAY: Final = 86400


_PRIVATE_AUTHORITY: Final = (
    "Verify chain and name from a client that trusts the authority; if it is a public authority, "
    "set CertificateArn to a certificate with its complete chain."
)


_NO_DOMAIN: Final = (
    "Set DomainName to the name in the certificate of CertificateArn; your certificate cannot "
    "contain AWS's own name of the load balancer."
)


_REFUSED: Final = re.compile(r"\b(?:HTTP|answers) 40[13]\b")


_USER: Final = (
    "Put the current name and password of an administrator of Camunda into the secret of the "
    "output AdminUserSecretArn; with an identity provider, compare secret, scope, audience and "
    "role of the client in the output OidcHealthClientId."
)


def by_cause(seen: str, otherwise: str) -> str:
    """Return the remedy: where Camunda answers 401 or 403, everything on the way to it is well."""
    return _USER if _REFUSED.search(seen) else otherwise


def check_topology(formation: Mapping[str, Any]) -> Check:
    """Brokers and partitions, read from the brokers directly."""
    if formation.get("formed"):
        return Check(
            "brokers and partitions",
            Result.PASS,
            f"{formation['brokers']} brokers, {formation['partitions']} partitions, each with one "
            "healthy leader and all replicas",
        )
    problems = "; ".join(formation.get("problems", ())) or "no broker responded"
    return Check(
        "brokers and partitions",
        Result.FAIL,
        problems,
        by_cause(problems, "Check the brokers' log group for the first error."),
    )


def check_targets(name: str, targets: Sequence[TargetHealth], expected: int) -> Check:
    """Targets of one load balancer against the number of tasks that should be behind it."""
    healthy = sum(1 for target in targets if target.state == "healthy")
    seen = f"{healthy} of {expected} targets healthy"
    if healthy >= expected:
        return Check(f"{name} targets", Result.PASS, seen)
    reasons = sorted({f"{t.state} {t.reason}".strip() for t in targets if t.state != "healthy"})
    detail = f"{seen} ({', '.join(reasons)})" if reasons else seen
    result = Result.WARN if healthy else Result.FAIL
    return Check(f"{name} targets", result, detail, _BALANCER)


def fronts(cluster: ClusterOutputs) -> tuple[Front, Front]:
    """Read from the stack's outputs how clients reach REST (and the web pages), and gRPC.

    One certificate serves both load balancers, and is verified for the name of REST where gRPC has
    none of its own. A name of AWS's own in ``RestUrl`` is no DomainName:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
    """
    url = urlsplit(cluster.rest_url)
    host, balancer = url.hostname or "", cluster.get("WebLoadBalancerDnsName", "").lower()
    tls = url.scheme == "https"
    domain = "" if not tls or host == balancer or _OF_AWS.search(host) else host
    web, native = Front(tls, domain, balancer), cluster.get("GrpcLoadBalancerDnsName", "").lower()
    name = cluster.get("GrpcEndpoint", "").rpartition(":")[0]
    # A stack of an earlier release has no such output, and no name of its own for gRPC.
    if tls and native and name not in {"", native} and not _OF_AWS.search(name):
        return web, Front(tls, name, native)
    return web, Front(tls, domain)


def check_path(
    name: str,
    probe: Mapping[str, Any],
    *,
    behind: Check,
    direct: bool,
    front: Front,
    now: int,
    must_answer: bool = False,
) -> Check:
    """Judge a path through a load balancer, requested as a user would. ``now``: epoch seconds.

    A path that cannot exist from inside the VPC (an internet-facing address whose allowed ranges
    leave the VPC out, a credential that must not travel in clear) is a warning, as long as the
    targets behind it are healthy and the same query sent directly was answered (``direct``).
    A certificate that is refused for the cluster's DomainName is a failure all the same; one of an
    authority that only the users' clients know is such a path. With ``must_answer`` another answer
    than the one expected is a failure as well: the path exists, and does not lead to the targets.
    """
    seen = str(probe.get("seen", "no answer"))
    if probe.get("ok"):
        return _check_certificate(name, probe, seen, front, now)
    error, remedy = probe.get("error"), ""
    if error == CertificateRefused.__name__:
        if front.domain:
            return Check(name, Result.FAIL, seen, _refused(front))
        remedy = _NO_DOMAIN
    elif error == CertificateAuthorityUnknown.__name__:
        remedy = _PRIVATE_AUTHORITY if front.domain else _NO_DOMAIN
    elif error == HostUnresolved.__name__ and front.domain and front.balancer:
        remedy = _record(front)
    wrong = must_answer and not error and "seen" in probe
    if direct and behind.result is Result.PASS and not wrong:
        return Check(
            name,
            Result.WARN,
            f"{seen}; its targets are healthy and respond directly",
            remedy or "Test the address from your users' network.",
        )
    return Check(name, Result.FAIL, seen, remedy or by_cause(seen, _BALANCER))


def _check_certificate(
    name: str, probe: Mapping[str, Any], seen: str, front: Front, now: int
) -> Check:
    """Judge for whom and until when the certificate of a path that answers was verified."""
    if not front.tls:
        return Check(name, Result.PASS, f"{seen}, in clear")
    if not front.domain:
        return Check(
            name,
            Result.WARN,
            f"{seen} over TLS; no certificate was verified: the cluster has no DomainName",
            _NO_DOMAIN,
        )
    host, until = probe.get("host"), int(probe.get("until") or 0)
    if host != front.domain or not until:
        unverified = f"{seen}; its certificate was not verified for {front.domain}"
        return Check(name, Result.FAIL, unverified, _refused(front))
    days = (until - now) // _DAY
    seen = (
        f"{seen}; certificate of {host} verified, valid until "
        f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d}, {days} days"
    )
    if days < SHORTEST_DAYS:
        return Check(
            name,
            Result.WARN,
            seen,
            "Renew the certificate of CertificateArn, or specify another: ACM renews "
            "certificates it issued as long as the DNS validation record exists.",
        )
    return Check(name, Result.PASS, seen)


def _refused(front: Front) -> str:
    return (
        f"Give CertificateArn a certificate that names {front.domain}, has not expired and comes "
        f"from an authority that clients trust, and point the DNS record of {front.domain} at "
        f"this cluster's load balancer{f' {front.balancer}' if front.balancer else ''}."
    )


def _record(front: Front) -> str:
    return (
        f"Create a DNS record that points {front.domain} at {front.balancer}: in Route 53 an alias "
        "(A) record, elsewhere a CNAME."
    )


def failure(checks: Sequence[Check]) -> str:
    """Return which checks failed as the cause of an execution; empty when none did."""
    failed = [c for c in checks if c.result is Result.FAIL]
    if not failed:
        return ""
    listed = "; ".join(f"{c.name}: {c.seen} ({c.remedy})" for c in failed)
    error = VerificationFailed(f"{len(failed)} of {len(checks)} checks failed: {listed}")
    return Failure.of(error).to_cause()
