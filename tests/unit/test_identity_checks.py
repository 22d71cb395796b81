"""What a preflight finds at an identity provider before brokers depend on it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from lifecycle.adapters.aws.secrets import SecretsManagerClients
from lifecycle.adapters.identity.provider import HttpIdentityProvider
from lifecycle.camunda.credentials import Token
from lifecycle.camunda.identity import Discovery, Issued, Keys
from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.errors import (
    IdentityProviderUnreachable,
    LifecycleError,
    PreflightFailed,
    ProbeAsleep,
    ProbeFailed,
    SecretRefused,
    TokenRefused,
)
from lifecycle.preflight.identity_provider import (
    KEYS,
    PROVIDER,
    TOKEN,
    Wanted,
    check_identity_provider,
)
from lifecycle.preflight.query_issuer import IssuerProber
from lifecycle.wiring import login

from tests.fakes.identity import ISSUER, TOKEN_URL, InMemoryProvider, InMemoryTokens
from tests.support.world import World

REQUEST: dict[str, Any] = {"cluster": "demo", "stack": "control-demo", "parameters": {}}
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:camunda/health-AbCdEf"
PARAMETERS = {
    "Authentication": "oidc",
    "OidcIssuer": ISSUER,
    "OidcTokenUrl": TOKEN_URL,
    "OidcClientId": "camunda",
    "OidcHealthClientId": "health",
    "OidcHealthSecretArn": SECRET,
    "OidcUsernameClaim": "preferred_username",
    "OidcClientIdClaim": "client_id",
    "OidcPreferUsernameClaim": "false",
    "OidcIdpLogout": "true",
    "OidcAudiences": "camunda, other",
}
HEADER = {"alg": "RS256", "kid": "1"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": ["account", "camunda"],
    "client_id": "health",
    "iat": 1000,
    "exp": 1300,
}


def jwt(header: dict[str, Any], claims: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims)}.c2lnbmF0dXJl"


def answered(
    provider: InMemoryProvider | None = None, tokens: InMemoryTokens | None = None
) -> dict[str, Any]:
    prober = IssuerProber(
        provider or InMemoryProvider(), tokens or InMemoryTokens(value=jwt(HEADER, CLAIMS))
    )
    wanted = wanted_of()
    answer = prober.query(
        wanted.outputs, client_claim=wanted.client_claim, username_claim=wanted.username_claim
    )
    answer_as_json: dict[str, Any] = json.loads(json.dumps(answer))
    return answer_as_json


def wanted_of(**parameters: str) -> Wanted:
    wanted = Wanted.of("demo", {**PARAMETERS, **parameters})
    assert wanted is not None
    return wanted


def judged(answer: dict[str, Any], **parameters: str) -> dict[str, Check]:
    return {one.name: one for one in check_identity_provider(wanted_of(**parameters), answer)}


def of_token(
    header: dict[str, Any] | None = None, parameters: dict[str, str] | None = None, **claims: Any
) -> Check:
    given = {key: value for key, value in {**CLAIMS, **claims}.items() if value is not None}
    tokens = InMemoryTokens(value=jwt(header or HEADER, given))
    return judged(answered(tokens=tokens), **parameters or {})[TOKEN]


def test_a_provider_that_fits_passes_and_no_token_is_in_the_answer() -> None:
    answer = answered()
    checks = judged(answer)
    assert {name: one.result for name, one in checks.items()} == dict.fromkeys(
        (PROVIDER, KEYS, TOKEN), Result.PASS
    )
    assert "client health, valid for 300 s" in checks[TOKEN].seen
    assert jwt(HEADER, CLAIMS) not in str(answer)
    assert "c2lnbmF0dXJl" not in str(answer)


@pytest.mark.parametrize("parameters", [{"Authentication": "basic"}, {"Authentication": ""}])
def test_without_a_provider_there_is_nothing_to_check(parameters: dict[str, str]) -> None:
    assert Wanted.of("demo", {**PARAMETERS, **parameters}) is None
    assert Wanted.of("demo", {}) is None


def test_a_provider_that_does_not_answer_fails_with_the_way_to_it() -> None:
    provider = InMemoryProvider(document=IdentityProviderUnreachable("login: no answer."))
    checks = judged(answered(provider))
    assert checks[PROVIDER].result is Result.FAIL
    assert "IdentityProviderUnreachable: login: no answer" in checks[PROVIDER].seen
    assert "NAT" in checks[PROVIDER].remedy
    assert checks[TOKEN].result is Result.PASS


@pytest.mark.parametrize(
    ("change", "result", "seen"),
    [
        ({"issuer": f"{ISSUER}/"}, Result.FAIL, f"names the issuer '{ISSUER}/'"),
        ({"authorization_endpoint": ""}, Result.FAIL, "no authorization endpoint"),
        # Brokers send the client secret of the web applications there.
        ({"token_endpoint": "https://x/token"}, Result.FAIL, "'https://x/token'"),
        ({"end_session_endpoint": ""}, Result.WARN, "no end_session_endpoint"),
        ({"grant_types": ("authorization_code",)}, Result.WARN, "authorization_code only"),
        ({"grant_types": ()}, Result.PASS, "publishes its endpoints"),
        ({"claims": ("sub",)}, Result.PASS, "does not list preferred_username, client_id"),
        ({"claims": ()}, Result.PASS, "publishes its endpoints"),
    ],
)
def test_a_document_is_compared_with_the_parameters(
    change: dict[str, Any], result: Result, seen: str
) -> None:
    provider = InMemoryProvider()
    assert isinstance(provider.document, Discovery)
    provider.document = replace(provider.document, **change)
    check = judged(answered(provider))[PROVIDER]
    assert (check.result, seen in check.seen) == (result, True), check
    assert bool(check.remedy) == (result is not Result.PASS)


def test_without_a_logout_at_the_provider_no_endpoint_is_needed() -> None:
    provider = InMemoryProvider()
    assert isinstance(provider.document, Discovery)
    provider.document = replace(provider.document, end_session_endpoint="")
    check = judged(answered(provider), OidcIdpLogout="false")[PROVIDER]
    assert check.result is Result.PASS


@pytest.mark.parametrize(
    "keys",
    [Keys(0), Keys(2, frozenset({"PS256", "EdDSA"})), IdentityProviderUnreachable("no keys.")],
)
def test_keys_that_camunda_cannot_use_fail(keys: Keys | LifecycleError) -> None:
    assert judged(answered(InMemoryProvider(signing=keys)))[KEYS].result is Result.FAIL


@pytest.mark.parametrize("error", [TokenRefused("invalid_client."), SecretRefused("no tag.")])
def test_a_token_that_is_not_issued_fails_with_its_reason(error: LifecycleError) -> None:
    check = judged(answered(tokens=InMemoryTokens(error=error)))[TOKEN]
    assert check.result is Result.FAIL
    assert check.seen == f"{type(error).__name__}: {error.message.rstrip('.')}"


@pytest.mark.parametrize("opaque", ["opaque", "a.b.c", "..", "e30.W10.x", "a.b.c.d.e"])
def test_an_opaque_token_fails(opaque: str) -> None:
    check = judged(answered(tokens=InMemoryTokens(value=opaque)))[TOKEN]
    assert check.result is Result.FAIL
    assert "no signed JWT" in check.seen


@pytest.mark.parametrize(
    ("claims", "seen"),
    [
        ({"iss": "https://sts.windows.net/x/"}, "its issuer is 'https://sts.windows.net/x/'"),
        ({"client_id": "other"}, "its claim client_id has 'other', expected is 'health'"),
        ({"client_id": None}, "its claim client_id is missing"),
        ({"client_id": ["health"]}, "its claim client_id is missing"),
        ({"aud": "account"}, "it is for account, expected is one of camunda, other"),
        ({"aud": None}, "it is for no audience"),
    ],
)
def test_claims_that_camunda_would_reject_fail(claims: dict[str, Any], seen: str) -> None:
    check = of_token(**claims)
    assert check.result is Result.FAIL
    assert seen in check.seen
    assert check.remedy


def test_a_signature_that_camunda_does_not_verify_fails() -> None:
    for algorithm in ("none", "HS256", "PS256"):
        assert of_token({"alg": algorithm}).result is Result.FAIL
    assert of_token({"alg": "ES512"}).result is Result.PASS


def test_without_audiences_any_audience_passes() -> None:
    assert of_token(parameters={"OidcAudiences": ""}, aud=None).result is Result.PASS
    assert of_token(aud="other").result is Result.PASS


def test_a_client_that_would_be_a_user_fails() -> None:
    preferring = {"OidcPreferUsernameClaim": "true"}
    check = of_token(parameters=preferring, preferred_username="service-account-health")
    assert check.result is Result.FAIL
    assert "the claim preferred_username of users" in check.seen
    assert of_token(parameters=preferring).result is Result.PASS
    assert of_token(preferred_username="service-account-health").result is Result.PASS


@pytest.mark.parametrize("claims", [{"exp": None}, {"exp": 1059}, {"exp": "soon"}])
def test_a_token_of_unknown_or_short_life_is_a_warning(claims: dict[str, Any]) -> None:
    assert of_token(**claims).result is Result.WARN
    assert of_token(exp=1060).result is Result.PASS


def test_nothing_is_compared_by_a_part_of_it() -> None:
    issuer = f"https://login.example.com/{'a' * 374}"
    many = [f"https://api-{number}.example.com" for number in range(20)]
    assert of_token({**HEADER}, {"OidcIssuer": issuer}, iss=issuer).result is Result.PASS
    assert of_token(aud=[*many, "camunda"]).result is Result.PASS
    provider = InMemoryProvider(signing=Keys(20, frozenset({*"ABCDEFGHIJKLMN", "RS256"})))
    assert isinstance(provider.document, Discovery)
    grants = (*(f"urn:grant:{number}" for number in range(12)), "client_credentials")
    provider.document = replace(provider.document, issuer=issuer, grant_types=grants)
    checks = judged(answered(provider), OidcIssuer=issuer)
    assert (checks[PROVIDER].result, checks[KEYS].result) == (Result.PASS, Result.PASS)


@pytest.mark.parametrize("claims", [{"exp": float("inf")}, {"exp": float("nan")}, {"iat": -1e400}])
def test_times_that_are_no_numbers_are_unknown(claims: dict[str, Any]) -> None:
    check = of_token(**claims)
    assert (check.result, check.seen) == (Result.WARN, "it has no expiry")


def test_a_correction_at_the_provider_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of Lambda lives longer than the minutes for which a token is kept."""
    audiences = iter(["account", "camunda"])

    def issue(*_: object) -> Issued:
        return Issued(Token(jwt(HEADER, {**CLAIMS, "aud": next(audiences)})), keep=240)

    monkeypatch.setattr(login, "settings", lambda: SimpleNamespace(control_stack="control"))
    monkeypatch.setattr(SecretsManagerClients, "secret", lambda *_: "hidden")
    monkeypatch.setattr(HttpIdentityProvider, "issue", issue)
    monkeypatch.setattr(HttpIdentityProvider, "_get", lambda *_: (200, {"issuer": ISSUER}))

    def check() -> Result:
        answer = login.issuer_prober().query(
            wanted_of().outputs, client_claim="client_id", username_claim="sub"
        )
        return judged(answer)[TOKEN].result

    assert (check(), check()) == (Result.FAIL, Result.PASS)


# --- the preflight -------------------------------------------------------------------------------


class Asked:
    """A probe that answers one question, and keeps what it was given."""

    def __init__(self, answer: dict[str, Any] | LifecycleError) -> None:
        self.answer = answer
        self.given: dict[str, Any] = {}

    def query(self, question: str, cluster: Any, **arguments: object) -> Any:
        self.given = {"question": question, "cluster": dict(cluster), **arguments}
        if isinstance(self.answer, LifecycleError):
            raise self.answer
        return self.answer


def preflight(answer: dict[str, Any] | LifecycleError, **parameters: str) -> tuple[Asked, Any]:
    probe = Asked(answer)
    operation = replace(World().preflight, probe=lambda: probe)
    request = {**REQUEST, "parameters": {**REQUEST["parameters"], **PARAMETERS, **parameters}}
    return probe, operation.check(request, planning=True)


def test_a_preflight_queries_the_provider_from_inside_the_vpc() -> None:
    probe, report = preflight(answered())
    assert probe.given["question"] == "issuer"
    assert (probe.given["client_claim"], probe.given["username_claim"]) == (
        "client_id",
        "preferred_username",
    )
    assert ClusterOutputs(probe.given["cluster"]).oidc_health_secret == SECRET
    assert {PROVIDER, KEYS, TOKEN} <= {one["name"] for one in report["checks"]}


def test_nothing_is_queried_without_a_provider() -> None:
    probe, report = preflight(ProbeFailed("it was queried"), Authentication="basic")
    assert probe.given == {}
    assert PROVIDER not in {one["name"] for one in report["checks"]}


def test_a_provider_that_does_not_fit_ends_a_plan_before_anything_changes() -> None:
    answer = answered(tokens=InMemoryTokens(error=TokenRefused("HTTP 401: invalid_client.")))
    with pytest.raises(PreflightFailed, match=f"{TOKEN}.*invalid_client"):
        preflight(answer)
    with pytest.raises(PreflightFailed, match="the function failed"):
        preflight(ProbeFailed("the function failed"))


def test_a_probe_that_sleeps_is_waited_for() -> None:
    with pytest.raises(ProbeAsleep):
        preflight(ProbeAsleep("it wakes"))
