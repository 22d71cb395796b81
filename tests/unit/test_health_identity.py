"""A health check of a cluster whose users an identity provider logs in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from lifecycle.camunda.credentials import Credentials, Token
from lifecycle.camunda.identity import Discovery, Keys
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.errors import (
    IdentityProviderUnreachable,
    LifecycleError,
    SecretRefused,
    SecretUnreadable,
    TokenRefused,
)
from lifecycle.health.facts import INSIDE, OUTSIDE, sources

from tests.fakes.identity import ISSUER, InMemoryProvider
from tests.support.health import ADMIN, OIDC, HealthWorld, codes

ACCEPTED = Token("token-1")
PUBLISHED = InMemoryProvider().document


@pytest.fixture
def world() -> HealthWorld:
    found = HealthWorld()
    found.outputs |= OIDC
    found.management._credentials = ACCEPTED
    return found


def document(world: HealthWorld) -> Discovery:
    assert isinstance(world.provider.document, Discovery)
    return world.provider.document


def test_a_cluster_that_is_well_is_read_by_one_token(world: HealthWorld) -> None:
    report = world.check()
    assert report["verdict"] == "HEALTHY"
    assert codes(report) == set()
    assert world.check()["verdict"] == "HEALTHY"
    (client,) = world.tokens.issued
    assert (client.client_id, client.cluster) == ("health", "demo")


def test_the_client_s_secret_is_watched_where_no_user_has_one(world: HealthWorld) -> None:
    """An adopted cluster with an identity provider names no user."""
    outputs = {**world.outputs, "AdminUserSecretArn": ""}
    assert "secrets" in sources(OUTSIDE, ClusterOutputs(outputs))
    outputs |= {"OidcHealthSecretArn": ""}
    assert "secrets" not in sources(OUTSIDE, ClusterOutputs(outputs))


@pytest.mark.parametrize("authentication", ["basic", None])
def test_without_a_provider_none_is_queried(authentication: str | None) -> None:
    world = HealthWorld()
    world.outputs |= OIDC
    if authentication is None:
        del world.outputs["Authentication"]
    else:
        world.outputs["Authentication"] = authentication
    world.provider.document = IdentityProviderUnreachable("nothing there.")
    assert not {"identity", "token"} & {*sources(INSIDE, ClusterOutputs(world.outputs))}
    assert world.check()["verdict"] == "HEALTHY"
    assert world.tokens.issued == []


def test_while_brokers_of_before_run_the_topology_is_known_and_not_down(
    world: HealthWorld,
) -> None:
    """They answer 401 to the token and accept the administrator."""
    world.management._credentials = ADMIN
    report = world.check()
    assert codes(report) == {"TOKEN_NOT_ACCEPTED"}
    assert report["verdict"] == "DEGRADED"
    world.hold("provision")
    during = world.check()
    assert during["verdict"] == "HEALTHY"
    (note,) = [one for one in during["findings"] if one["code"] == "TOKEN_NOT_ACCEPTED"]
    assert note["severity"] == "INFO"


def test_a_topology_that_no_login_reads_is_not_explained_by_an_operation(
    world: HealthWorld,
) -> None:
    world.management._credentials = Credentials("admin", "a password of nobody")
    world.hold("provision")
    report = world.check()
    assert "CREDENTIALS_REFUSED" in codes(report)
    (finding,) = [one for one in report["findings"] if one["code"] == "CREDENTIALS_REFUSED"]
    assert finding["severity"] == "UNKNOWN"
    assert "client health" in finding["seen"]
    assert "token-1" not in str(report)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TokenRefused("HTTP 401: invalid_client."), "TOKEN_REFUSED"),
        (IdentityProviderUnreachable("no answer."), "IDENTITY_PROVIDER_UNREACHABLE"),
    ],
)
def test_a_token_that_is_not_issued_has_one_finding_with_its_reason(
    world: HealthWorld, error: LifecycleError, code: str
) -> None:
    world.tokens.error = error
    report = world.check()
    assert codes(report) == {code}
    assert report["verdict"] == "DEGRADED"
    (finding,) = [one for one in report["findings"] if one["code"] == code]
    assert error.message.rstrip(".") in finding["seen"]


@pytest.mark.parametrize("error", [SecretRefused("no tag."), SecretUnreadable("no JSON.")])
def test_a_secret_that_is_not_read_is_never_a_healthy_cluster(
    world: HealthWorld, error: LifecycleError
) -> None:
    world.tokens.error = error
    report = world.check()
    assert "TOKEN_REFUSED" in codes(report)
    assert report["verdict"] == "DEGRADED"


def test_a_provider_that_is_gone_while_the_token_is_kept(world: HealthWorld) -> None:
    world.check()
    world.provider.document = IdentityProviderUnreachable("login.example.com: no answer.")
    report = world.check()
    assert codes(report) == {"IDENTITY_PROVIDER_UNREACHABLE"}
    world.provider.document = PUBLISHED
    world.provider.signing = IdentityProviderUnreachable("the keys: no answer.")
    assert codes(world.check()) == {"IDENTITY_PROVIDER_UNREACHABLE"}


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"issuer": f"{ISSUER}/"}, "issuer"),
        ({"token_endpoint": "https://evil.example.com/token"}, "token endpoint"),
    ],
)
def test_a_document_that_differs_is_named(
    world: HealthWorld, change: dict[str, str], seen: str
) -> None:
    world.provider.document = replace(document(world), **change)  # type: ignore[arg-type]
    report = world.check()
    assert codes(report) == {"ISSUER_DIFFERS"}
    (finding,) = [one for one in report["findings"] if one["code"] == "ISSUER_DIFFERS"]
    assert next(iter(change.values())) in finding["seen"]
    assert finding["subject"] == seen


@pytest.mark.parametrize("keys", [Keys(0), Keys(1, frozenset({"PS256"}))])
def test_keys_that_camunda_does_not_verify_are_named(world: HealthWorld, keys: Keys) -> None:
    world.provider.signing = keys
    assert codes(world.check()) == {"ISSUER_DIFFERS"}


def test_the_age_of_passwords_that_nobody_uses_is_no_finding(world: HealthWorld) -> None:
    world.outputs["SecretAgeDays"] = "90"
    old = datetime(2025, 1, 1, tzinfo=UTC).isoformat()
    inside, outside = world.look()
    unused = [
        {"name": name, "problem": "", "since": old}
        for name in ("AdminUserSecretArn", "ConnectorsUserSecretArn")
    ]
    outside["answers"]["secrets"] = unused
    assert "SECRET_OLD" not in codes(world.check(inside, outside), "INFO")
    client = {"name": "OidcHealthSecretArn", "problem": "", "since": old}
    outside["answers"]["secrets"] = [*unused, client]
    report = world.check(inside, outside)
    (note,) = [one for one in report["findings"] if one["code"] == "SECRET_OLD"]
    assert "OidcHealthSecretArn" in note["seen"]
    assert "AdminUserSecretArn" not in note["seen"]
