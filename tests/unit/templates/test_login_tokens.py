"""From a request to a principal: what each kind settles, against tokens as it issues them.

The claims are those of the providers' documents: Keycloak's token mappers; Entra's access token
claims of version 2.0; Cognito's "Understanding the access token". A local broker decides by them.
"""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.provisioning.request import read_provision_request

from local.broker.identity import (
    CLIENT,
    GROUP,
    USER,
    OidcSettings,
    TokenRejected,
    check_claims,
    initial,
    principal,
    read,
)
from tests.support.login import COGNITO, ENTRA, GENERIC, KEYCLOAK, KINDS
from tests.unit.templates.resolver import resolve
from tests.unit.templates.test_services import broker, environment

ALICE, WEB, HEALTH = "alice@example.com", "camunda-web", "camunda-health"
NOW = 1_000_000.0
COMMON = {"exp": NOW + 300, "sub": "f1c2"}
OF_USERS: dict[str, dict[str, Any]] = {
    "keycloak": {
        "iss": KEYCLOAK["OidcIssuer"],
        "aud": [WEB, "account"],
        "azp": WEB,
        "preferred_username": ALICE,
        "groups": ["admins"],
    },
    "entra": {
        "iss": ENTRA["OidcIssuer"],
        "aud": WEB,
        "azp": WEB,
        "oid": "77aa",
        "preferred_username": ALICE,
        "groups": ["admins"],
    },
    "cognito": {
        "iss": COGNITO["OidcIssuer"],
        "client_id": WEB,
        "token_use": "access",
        "username": ALICE,
        "cognito:groups": ["admins"],
    },
    "generic": {"iss": GENERIC["OidcIssuer"], "sub": ALICE},
}
OF_CLIENTS: dict[str, dict[str, Any]] = {
    "keycloak": {
        "iss": KEYCLOAK["OidcIssuer"],
        "aud": WEB,
        "azp": HEALTH,
        "client_id": HEALTH,
        "preferred_username": f"service-account-{HEALTH}",
    },
    "entra": {"iss": ENTRA["OidcIssuer"], "aud": WEB, "azp": HEALTH, "oid": "88bb"},
    "cognito": {
        "iss": COGNITO["OidcIssuer"],
        "client_id": HEALTH,
        "sub": HEALTH,
        "token_use": "access",
    },
    "generic": {
        "iss": GENERIC["OidcIssuer"],
        "sub": f"{HEALTH}@clients",
        "https://example.com/client_id": HEALTH,
    },
}


def variables(asked: dict[str, Any]) -> dict[str, str]:
    """What a broker's process gets of a request; the secret's value is of no account."""
    raw = {"clusterName": "demo", "parameters": asked}
    request = read_provision_request(raw, cluster_parameters())
    container = broker(resolve("cluster", **request.parameters))
    return {**environment(container), **{one["Name"]: "s" for one in container["Secrets"]}}


def settings(asked: dict[str, Any], dialect: str = "8.10") -> OidcSettings:
    found = read(variables(asked), dialect)
    assert found is not None
    return found


@pytest.mark.parametrize("dialect", ["8.9", "8.10"])
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_users_and_of_clients_are_taken_for_what_they_are(
    kind: str, dialect: str
) -> None:
    asked = dict(KINDS[kind])
    found = settings(asked, dialect)
    user, client = {**COMMON, **OF_USERS[kind]}, {**COMMON, **OF_CLIENTS[kind]}
    for claims in (user, client):
        check_claims(claims, found, NOW)
    assert (principal(user, found).kind, principal(user, found).name) == (USER, ALICE)
    assert (principal(client, found).kind, principal(client, found).name) == (CLIENT, HEALTH)
    assert initial(variables(asked)).members == (
        ("admin", CLIENT, HEALTH),
        ("admin", USER, ALICE),
        ("connectors", CLIENT, "camunda-connectors"),
    )


@pytest.mark.parametrize("kind", ["keycloak", "entra", "cognito"])
def test_members_of_the_group_are_administrators(kind: str) -> None:
    asked = {**KINDS[kind], "OidcAdministrator": "", "OidcAdministratorGroup": "admins"}
    found = principal({**COMMON, **OF_USERS[kind]}, settings(asked))
    assert found.groups == ("admins",)
    assert ("admin", GROUP, "admins") in initial(variables(asked)).members


@pytest.mark.parametrize("kind", ["keycloak", "entra"])
def test_a_token_for_another_application_of_the_same_issuer_is_refused(kind: str) -> None:
    claims = {**COMMON, **OF_USERS[kind], "aud": "intranet"}
    with pytest.raises(TokenRejected, match="audiences"):
        check_claims(claims, settings(dict(KINDS[kind])), NOW)


def test_a_broker_with_passwords_reads_no_identity_provider() -> None:
    assert read(variables({"AcceptPlaintext": True}), "8.10") is None
