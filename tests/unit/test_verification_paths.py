"""What is said of a path: in clear, or for whom and until when a certificate was verified."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifecycle.api.probe import Prober
from lifecycle.camunda.credentials import Credentials, Token
from lifecycle.camunda.paths import PathSeen, SignIn
from lifecycle.cluster.checks import Check, Result, TargetHealth
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.errors import (
    CertificateAuthorityUnknown,
    CertificateRefused,
    HostUnresolved,
    IdentityProviderUnreachable,
    LifecycleError,
    TokenRefused,
)
from lifecycle.verification.checks import Front, check_path, check_targets, fronts

from tests.fakes.identity import ISSUER, InMemoryProvider, InMemoryTokens, logins
from tests.fakes.management import InMemoryManagement
from tests.fakes.management_simulation import SimulatedCluster
from tests.support.health import OIDC
from tests.support.world import OUTPUTS, Admins

NOW = datetime(2026, 11, 29, tzinfo=UTC)
BALANCER = "internal-web-1.eu-central-1.elb.amazonaws.com"
DOMAIN = "camunda.example.com"
NAMED = Front(tls=True, domain=DOMAIN, balancer=BALANCER)
HEALTHY = check_targets("REST", [TargetHealth("10.0.0.1", "healthy")], 1)
GONE = check_targets("REST", [], 1)


def judged(seen: PathSeen, front: Front, *, behind: Check = HEALTHY, direct: bool = True) -> Check:
    return check_path(
        "REST",
        seen.as_dict(),
        behind=behind,
        direct=direct,
        front=front,
        now=int(NOW.timestamp()),
    )


def answered(days: float, host: str = DOMAIN) -> PathSeen:
    until = int((NOW + timedelta(days=days)).timestamp())
    return PathSeen(ok=True, seen=f"https://{host}/ answers 200", host=host, until=until)


def ended(error: type[LifecycleError]) -> PathSeen:
    return PathSeen(ok=False, seen="no answer", error=error.__name__)


def test_a_certificate_is_told_with_its_host_and_its_end() -> None:
    check = judged(answered(212.5), NAMED)
    assert check.result is Result.PASS
    assert f"certificate of {DOMAIN} verified, valid until 2027-06-29, 212 days" in check.seen, (
        check.seen
    )


@pytest.mark.parametrize(("days", "result"), [(14, "PASS"), (13.99, "WARN"), (0.1, "WARN")])
def test_one_that_ends_soon_is_a_warning(days: float, result: str) -> None:
    check = judged(answered(days), NAMED)
    assert check.result == result
    assert bool(check.remedy) == (result == "WARN")


def test_without_tls_the_line_says_so() -> None:
    check = judged(PathSeen(ok=True, seen="http://x answers 200"), Front(tls=False))
    assert (check.result, check.seen) == (Result.PASS, "http://x answers 200, in clear")


@pytest.mark.parametrize(
    "seen",
    [
        answered(100, BALANCER),
        answered(100, "other.example.com"),
        PathSeen(ok=True, seen="answers 200"),
        PathSeen(ok=True, seen="answers 200", host=DOMAIN),
    ],
)
def test_an_answer_for_another_name_never_stands_for_the_domain(seen: PathSeen) -> None:
    check = judged(seen, NAMED)
    assert check.result is Result.FAIL
    assert f"was not verified for {DOMAIN}" in check.seen


@pytest.mark.parametrize("direct", [True, False])
def test_a_certificate_that_is_refused_fails_and_says_what_to_do(direct: bool) -> None:
    check = judged(ended(CertificateRefused), NAMED, direct=direct)
    assert check.result is Result.FAIL
    assert f"names {DOMAIN}" in check.remedy
    assert BALANCER in check.remedy


def test_an_authority_that_only_clients_know_is_a_warning_and_never_good() -> None:
    warned = judged(ended(CertificateAuthorityUnknown), NAMED)
    assert warned.result is Result.WARN
    assert "trusts the authority" in warned.remedy
    for check in (
        judged(ended(CertificateAuthorityUnknown), NAMED, behind=GONE),
        judged(ended(CertificateAuthorityUnknown), NAMED, direct=False),
    ):
        assert check.result is Result.FAIL


def test_a_domain_without_a_record_is_told_with_the_record() -> None:
    record = f"points {DOMAIN} at {BALANCER}"
    warned = judged(ended(HostUnresolved), NAMED)
    assert warned.result is Result.WARN
    assert record in warned.remedy
    for check in (
        judged(ended(HostUnresolved), NAMED, behind=GONE),
        judged(ended(HostUnresolved), NAMED, direct=False),
    ):
        assert check.result is Result.FAIL
        assert record in check.remedy


def test_a_balancer_that_does_not_resolve_asks_for_no_record() -> None:
    check = judged(ended(HostUnresolved), Front(tls=True, domain=DOMAIN), behind=GONE)
    assert check.result is Result.FAIL
    assert "record" not in check.remedy


@pytest.mark.parametrize("seen", [answered(100, BALANCER), ended(CertificateRefused)])
def test_tls_without_a_domain_name_is_never_verified(seen: PathSeen) -> None:
    check = judged(seen, Front(tls=True, balancer=BALANCER))
    assert check.result is Result.WARN
    assert "DomainName" in check.remedy


@pytest.mark.parametrize(
    ("url", "name", "expected"),
    [
        ("http://" + BALANCER, BALANCER, Front(tls=False, balancer=BALANCER)),
        (f"https://{DOMAIN}", BALANCER, NAMED),
        (f"https://{BALANCER}", BALANCER, Front(tls=True, balancer=BALANCER)),
        # The name as CloudFormation returns it may have capitals.
        (f"https://{BALANCER.capitalize()}", BALANCER.capitalize(), Front(True, "", BALANCER)),
        ("https://web.internal", "web.internal", Front(tls=True, balancer="web.internal")),
        # A stack of before has no output with AWS's name.
        (f"https://{BALANCER}", "", Front(tls=True)),
        ("https://x.elb.cn-north-1.amazonaws.com.cn", "", Front(tls=True)),
        ("https://notamazonaws.com", "", Front(tls=True, domain="notamazonaws.com")),
    ],
)
def test_awss_own_name_is_no_domain(url: str, name: str, expected: Front) -> None:
    outputs = {"RestUrl": url} | ({"WebLoadBalancerDnsName": name} if name else {})
    web, grpc = fronts(ClusterOutputs(outputs))
    assert web == expected
    assert grpc == Front(web.tls, web.domain), "no record points the domain at the other balancer"


NATIVE = "net-1.elb.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("grpc.example.com:26500", Front(True, "grpc.example.com", NATIVE)),
        (f"{NATIVE}:26500", Front(True, DOMAIN)),
        (f"{NATIVE.capitalize()}:26500", Front(True, DOMAIN)),
    ],
)
def test_grpc_is_verified_by_its_own_name_where_it_has_one(endpoint: str, expected: Front) -> None:
    outputs = {
        "RestUrl": f"https://{DOMAIN}",
        "WebLoadBalancerDnsName": BALANCER,
        "GrpcEndpoint": endpoint,
        "GrpcLoadBalancerDnsName": NATIVE.capitalize(),
    }
    assert fronts(ClusterOutputs(outputs))[1] == expected
    clear = {**outputs, "RestUrl": f"http://{BALANCER}"}
    assert fronts(ClusterOutputs(clear))[1] == Front(False)


class Asked:
    """Paths that note what they are asked for."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def http(self, url: str, **given: Any) -> PathSeen:
        self.asked[url] = given
        return PathSeen(ok=True, seen=url)

    def page(self, url: str) -> PathSeen:
        self.asked[url] = {}
        raise CertificateRefused("The certificate of x was refused: it has ended.")

    def sign_in(self, url: str, wanted: SignIn) -> PathSeen:
        self.asked[url] = {"wanted": wanted}
        return PathSeen(ok=True, seen=url)

    def grpc(self, host: str, port: int, **given: Any) -> PathSeen:
        self.asked[f"{host}:{port}"] = given
        return PathSeen(ok=True, seen=host)


def test_every_path_is_asked_for_the_domain_and_only_rest_with_credentials() -> None:
    paths = Asked()
    prober = Prober(
        management=lambda _: InMemoryManagement(SimulatedCluster(3, 3, 3)),
        paths=paths,
        logins=logins(Admins()),
        provider=InMemoryProvider(),
        networks=("10.0.0.0/8",),
    )
    told = prober.through_load_balancers(
        ClusterOutputs(
            {**OUTPUTS, "RestUrl": f"https://{DOMAIN}", "WebLoadBalancerDnsName": BALANCER}
        )
    )
    assert paths.asked == {
        f"https://{DOMAIN}/v2/topology": {
            "login": Credentials("admin", "password"),
            "networks": ("10.0.0.0/8",),
            "balancer": BALANCER,
        },
        f"https://{DOMAIN}/operate/login": {},
        f"https://{DOMAIN}/connectors/actuator/health/readiness": {},
        OUTPUTS["GrpcEndpoint"]: {"tls": True, "name": DOMAIN},
    }
    named = {
        **OUTPUTS,
        "RestUrl": f"https://{DOMAIN}",
        "GrpcEndpoint": "grpc.example.com:26500",
        "GrpcLoadBalancerDnsName": NATIVE,
    }
    prober.through_load_balancers(ClusterOutputs(named))
    assert paths.asked[f"{NATIVE}:26500"] == {"tls": True, "name": "grpc.example.com"}
    assert "grpc.example.com:26500" not in paths.asked
    assert told["rest"]["ok"]
    assert (told["login"]["ok"], told["login"]["error"]) == (False, "CertificateRefused")
    assert "it has ended" in told["login"]["seen"]


def test_with_an_identity_provider_rest_gets_a_token_alone_and_a_browser_is_followed() -> None:
    paths = Asked()
    prober = Prober(
        management=lambda _: InMemoryManagement(SimulatedCluster(3, 3, 3)),
        paths=paths,
        provider=InMemoryProvider(),
        logins=logins(Admins()),
        networks=("10.0.0.0/8",),
    )
    front = {"RestUrl": f"https://{DOMAIN}", "WebLoadBalancerDnsName": BALANCER}
    told = prober.through_load_balancers(ClusterOutputs({**OUTPUTS, **OIDC, **front}))
    assert paths.asked[f"https://{DOMAIN}/v2/topology"]["login"] == Token("token-1")
    assert paths.asked[f"https://{DOMAIN}/operate"]["wanted"] == SignIn(
        f"{ISSUER}/protocol/openid-connect/auth", "camunda", f"https://{DOMAIN}/sso-callback"
    )
    assert f"https://{DOMAIN}/operate/login" not in paths.asked
    assert "token-1" not in str(told)


def test_a_provider_that_is_not_reached_is_no_answer_of_the_login() -> None:
    prober = Prober(
        management=lambda _: InMemoryManagement(SimulatedCluster(3, 3, 3)),
        paths=Asked(),
        provider=InMemoryProvider(document=IdentityProviderUnreachable("no answer.")),
        logins=logins(Admins(), InMemoryTokens(error=TokenRefused("invalid_client."))),
        networks=(),
    )
    front = {"RestUrl": f"https://{DOMAIN}", "WebLoadBalancerDnsName": BALANCER}
    told = prober.through_load_balancers(ClusterOutputs({**OUTPUTS, **OIDC, **front}))
    assert (told["login"]["ok"], told["login"]["error"]) == (False, "IdentityProviderUnreachable")
    assert (told["rest"]["ok"], told["rest"]["error"]) == (False, "TokenRefused")
