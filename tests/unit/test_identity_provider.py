"""What a request leaves open of its identity provider, what is refused, and what a change does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.authentication import is_one_way
from lifecycle.errors import InvalidRequest
from lifecycle.provisioning.identity_provider import PARAMETERS, consequences
from lifecycle.provisioning.request import read_plan_request, read_provision_request

from tests.support.declared import in_clear
from tests.support.login import (
    COGNITO,
    COMMON,
    DOMAIN,
    ENTRA,
    GENERIC,
    KEYCLOAK,
    KINDS,
    RESOLVED,
    TENANT,
)
from tools.generate_parameters import load_template

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULTS = {name: str(one.get("default", "")) for name, one in in_clear().items()}


CLEAR = {"AcceptPlaintext": True}


def read(
    parameters: Mapping[str, object], present: Mapping[str, str] | None = None
) -> dict[str, str]:
    raw = {"clusterName": "demo", "parameters": dict(parameters)}
    return dict(read_provision_request(raw, in_clear(), present).parameters)


def refused(
    parameters: Mapping[str, object], present: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    with pytest.raises(InvalidRequest) as caught:
        read(parameters, present)
    return {
        problem["field"].removeprefix("parameters."): problem for problem in caught.value.problems
    }


def without(parameters: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name not in names}


# --- what is filled in ---------------------------------------------------------------------------


def test_the_parameters_of_the_login_are_those_of_its_group() -> None:
    groups = load_template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    (login,) = [one["Parameters"] for one in groups if one["Label"]["default"] == "Login"]
    assert sorted(login) == sorted(PARAMETERS)


def test_keycloak_settles_token_url_claims_and_audience() -> None:
    assert read(KEYCLOAK) == RESOLVED


def test_entra_tells_users_from_clients_by_a_claim_that_only_users_have() -> None:
    found = read(ENTRA)
    assert without(found, *ENTRA) == {
        "OidcTokenUrl": f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token",
        "OidcUsernameClaim": "preferred_username",
        "OidcClientIdClaim": "azp",
        "OidcPreferUsernameClaim": "true",
        "OidcAudiences": "camunda-web",
        "OidcScope": "openid,profile,offline_access,camunda-web/.default",
        "OidcClientScope": "camunda-web/.default",
    }


def test_cognito_has_no_audience_and_a_logout_of_its_own() -> None:
    assert without(read(COGNITO), *COGNITO) == {
        "OidcUsernameClaim": "username",
        "OidcClientIdClaim": "client_id",
        "OidcPreferUsernameClaim": "true",
        "OidcIdpLogout": "false",
    }


def test_of_another_provider_nothing_is_known() -> None:
    assert read(GENERIC) == GENERIC


@pytest.mark.parametrize(
    ("kind", "claim"),
    [("keycloak", "groups"), ("entra", "groups"), ("cognito", "cognito:groups")],
)
def test_a_group_of_administrators_brings_the_claim_of_groups(kind: str, claim: str) -> None:
    asked = {
        **without(KINDS[kind], "OidcAdministrator"),
        "OidcAdministratorGroup": "Camunda Admins",
    }
    assert read(asked)["OidcGroupsClaim"] == claim
    assert "OidcGroupsClaim" not in read(KINDS[kind])


def test_what_is_given_wins_and_what_is_empty_is_open() -> None:
    given = {
        "OidcTokenUrl": "https://tokens.example.com/token",
        "OidcUsernameClaim": "email",
        "OidcAudiences": "",
        "OidcClientIdClaim": "",
    }
    found = read({**KEYCLOAK, **given})
    assert {name: found[name] for name in given} == {**given, "OidcClientIdClaim": "client_id"}


def test_the_plan_of_a_request_has_the_same() -> None:
    raw = {"clusterName": "demo", "provision": {"parameters": KEYCLOAK}}
    assert read_plan_request(raw, in_clear()).parameters == RESOLVED


# --- a cluster that has it -----------------------------------------------------------------------


def test_a_request_that_names_nothing_of_it_changes_nothing() -> None:
    assert read({}, RESOLVED) == {}
    assert read({"Connectors": 2}, RESOLVED) == {"Connectors": "2"}


def test_what_followed_from_the_issuer_follows_it_to_another_one() -> None:
    issuer = "https://login.example.com/realms/other"
    assert read({"OidcIssuer": issuer}, RESOLVED) == {
        "OidcIssuer": issuer,
        "OidcTokenUrl": f"{issuer}/protocol/openid-connect/token",
    }
    assert read({"OidcClientId": "new"}, RESOLVED) == {
        "OidcClientId": "new",
        "OidcAudiences": "new",
    }


def test_what_was_given_once_stays_given() -> None:
    present = {**RESOLVED, "OidcTokenUrl": "https://tokens.example.com/token", "OidcAudiences": ""}
    issuer = "https://login.example.com/realms/other"
    assert read({"OidcIssuer": issuer}, present) == {"OidcIssuer": issuer}


def test_a_username_claim_that_is_the_default_stays_where_it_was_given() -> None:
    present = {**RESOLVED, "OidcUsernameClaim": "sub"}
    assert read({"OidcAdministrator": "bob"}, present) == {"OidcAdministrator": "bob"}


def test_another_kind_brings_its_own_values() -> None:
    found = read({"IdentityProvider": "entra", "OidcIssuer": ENTRA["OidcIssuer"]}, RESOLVED)
    assert found["OidcClientIdClaim"] == "azp"
    assert found["OidcTokenUrl"].endswith("/oauth2/v2.0/token")


def test_a_cluster_of_before_the_parameters_can_get_an_identity_provider() -> None:
    present = without(DEFAULTS, *PARAMETERS)
    assert read(KEYCLOAK, present) == RESOLVED


# --- what is refused -----------------------------------------------------------------------------


def test_everything_that_lacks_is_named_at_once() -> None:
    found = refused({"Authentication": "oidc", **CLEAR})
    assert set(found) == {
        "DomainName",
        "OidcIssuer",
        "OidcClientId",
        "OidcClientSecretArn",
        "OidcConnectorsClientId",
        "OidcConnectorsSecretArn",
        "OidcHealthClientId",
        "OidcHealthSecretArn",
        "OidcAdministrator",
        "OidcClientIdClaim",
    }
    assert "https://<DomainName>/sso-callback" in found["OidcClientId"]["allowed"]
    assert all("oidc" in one["allowed"] for one in found.values())


@pytest.mark.parametrize("name", [name for name in COMMON if name.startswith("Oidc")])
@pytest.mark.parametrize("kind", KINDS)
def test_what_every_kind_needs(kind: str, name: str) -> None:
    assert set(refused(without(KINDS[kind], name))) == {name}


@pytest.mark.parametrize(
    ("kind", "issuer"),
    [
        ("keycloak", "https://login.example.com/camunda"),
        ("keycloak", "https://login.example.com/realms/camunda/"),
        ("keycloak", "https://login.example.com/realms/"),
        ("entra", "https://login.microsoftonline.com/common/v2.0"),
        ("entra", "https://login.microsoftonline.com/example.onmicrosoft.com/v2.0"),
        ("entra", f"https://sts.windows.net/{TENANT}/"),
        ("entra", f"https://login.microsoftonline.com/{TENANT}/v2.0/"),
        ("entra", f"https://login.microsoftonline.com/{TENANT}"),
        ("cognito", "https://cognito-idp.eu-central-1.amazonaws.com/eu-west-1_Ab12Cd34E"),
        ("cognito", "https://example.auth.eu-central-1.amazoncognito.com"),
    ],
)
def test_an_issuer_that_the_kind_cannot_have(kind: str, issuer: str) -> None:
    found = refused({**KINDS[kind], "OidcIssuer": issuer})
    assert set(found) == {"OidcIssuer"}
    assert issuer in found["OidcIssuer"]["given"]
    assert f"with {kind}: https://" in found["OidcIssuer"]["allowed"]


@pytest.mark.parametrize(
    "issuer",
    [
        "http://login.example.com",
        "https://login.example.com/realms/camunda?x=1",
        "https://user@login.example.com/realms/camunda",
        "https://login.example.com/${x}",
    ],
)
def test_an_issuer_that_no_broker_could_read(issuer: str) -> None:
    """Spring resolves placeholders in variables."""
    assert set(refused({**KEYCLOAK, "OidcIssuer": issuer})) == {"OidcIssuer"}


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        (without(COGNITO, "OidcTokenUrl"), "OidcTokenUrl", "domain of the user pool"),
        (without(GENERIC, "OidcTokenUrl"), "OidcTokenUrl", "token_endpoint"),
        (without(GENERIC, "OidcClientIdClaim"), "OidcClientIdClaim", "id of a client"),
        ({**GENERIC, "OidcAdministratorGroup": "admins"}, "OidcGroupsClaim", "Group"),
        ({**GENERIC, "OidcClientIdClaim": "sub"}, "OidcClientIdClaim", "OidcUsernameClaim (sub)"),
        ({**ENTRA, "OidcUsernameClaim": "oid"}, "OidcUsernameClaim", "preferred_username"),
        ({**ENTRA, "OidcUsernameClaim": "sub"}, "OidcUsernameClaim", "preferred_username"),
        ({**ENTRA, "OidcPreferUsernameClaim": False}, "OidcPreferUsernameClaim", "azp"),
        ({**COGNITO, "OidcPreferUsernameClaim": False}, "OidcPreferUsernameClaim", "client_id"),
        ({**KEYCLOAK, "OidcHealthClientId": "camunda-web"}, "OidcHealthClientId", "OidcClientId"),
        (
            {**KEYCLOAK, "OidcHealthClientId": "camunda-connectors"},
            "OidcHealthClientId",
            "OidcConnectorsClientId",
        ),
        ({**without(KEYCLOAK, *DOMAIN), **CLEAR}, "DomainName", "https only"),
        ({**KEYCLOAK, "OidcAdministrator": "alice,bob"}, "OidcAdministrator", "one user"),
        ({**KEYCLOAK, "OidcAdministrator": "${env}"}, "OidcAdministrator", "one user"),
        # A secret names its token endpoint in a tag, which holds neither these letters nor more.
        ({**GENERIC, "OidcTokenUrl": "https://example.com/~a/token"}, "OidcTokenUrl", "256"),
        ({**GENERIC, "OidcTokenUrl": "https://example.com/a%20b/token"}, "OidcTokenUrl", "256"),
        ({**GENERIC, "OidcTokenUrl": f"https://example.com/{'a' * 237}"}, "OidcTokenUrl", "256"),
        (
            {**KEYCLOAK, "OidcIssuer": "https://login.example.com/realms/a%20b"},
            "OidcTokenUrl",
            "256",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_its_field(
    asked: dict[str, object], field: str, words: str
) -> None:
    found = refused(asked)
    assert set(found) == {field}
    assert words in found[field]["allowed"]


def test_oidc_is_never_left() -> None:
    found = refused({"Authentication": "basic"}, RESOLVED)
    assert set(found) == {"Authentication"}
    assert "basic" in found["Authentication"]["given"]
    assert "oidc, which a cluster keeps" in found["Authentication"]["allowed"]


@pytest.mark.parametrize("present", [None, DEFAULTS])
def test_an_identity_provider_without_oidc_is_refused_and_not_ignored(
    present: dict[str, str] | None,
) -> None:
    asked = {**without(KEYCLOAK, "Authentication"), **DOMAIN}
    found = refused(asked, present)
    assert set(found) == set(asked) - set(DOMAIN)
    assert "request Authentication oidc" in found["OidcIssuer"]["allowed"]
    none = {"OidcIssuer": "", "OidcIdpLogout": True, "Authentication": "basic", **CLEAR}
    assert read(none, present)


def test_a_cluster_with_oidc_keeps_its_name() -> None:
    assert set(refused({"DomainName": ""}, RESOLVED)) == {"DomainName"}
    assert set(refused({"OidcAdministrator": ""}, RESOLVED)) == {"OidcAdministrator"}


ENVIRONMENT = {"CAMUNDA_SECURITY_INITIALIZATION_USERS_2_USERNAME": "bob", "TZ": "UTC"}
USERS = {"brokers": {"environment": ENVIRONMENT}}
OWN_OIDC = {"brokers": {"environment": {"CAMUNDA_SECURITY_AUTHENTICATION_OIDC_CLOCKSKEW": "30S"}}}
SECOND = "CAMUNDA_SECURITY_AUTHENTICATION_PROVIDERS_OIDC_STAFF_CLIENTID"
OWN_SECOND = {"brokers": {"environment": {SECOND: "camunda"}}}
GROUP = "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_ADMIN_GROUPS_0"
OWN_GROUP = {"brokers": {"environment": {GROUP: "operators"}}}
OWN_LOGIN = {"connectors": {"environment": {"CAMUNDA_CLIENT_AUTH_SCOPE": "openid"}}}


@pytest.mark.parametrize(
    ("parameters", "settings", "field"),
    [
        (KEYCLOAK, USERS, "brokers.environment.CAMUNDA_SECURITY_INITIALIZATION_USERS_2_USERNAME"),
        (CLEAR, OWN_OIDC, "brokers.environment.CAMUNDA_SECURITY_AUTHENTICATION_OIDC_CLOCKSKEW"),
        (KEYCLOAK, OWN_LOGIN, "connectors.environment.CAMUNDA_CLIENT_AUTH_SCOPE"),
        (CLEAR, OWN_SECOND, f"brokers.environment.{SECOND}"),
        (KEYCLOAK, OWN_SECOND, None),
        (CLEAR, USERS, None),
        (CLEAR, OWN_LOGIN, None),
        (CLEAR, OWN_GROUP, None),
        (KEYCLOAK, OWN_GROUP, f"brokers.environment.{GROUP}"),
        (KEYCLOAK, OWN_OIDC, None),
    ],
)
def test_settings_with_which_a_broker_would_not_start_have_to_go(
    parameters: dict[str, object], settings: dict[str, Any], field: str | None
) -> None:
    """Whether the cluster has them already, or gets them with the request."""

    def asked(given: dict[str, Any], present: dict[str, Any]) -> set[str]:
        provision = {"clusterName": "demo", "parameters": parameters, "settings": given}
        planned = {"parameters": parameters, "settings": given}
        plan = {"clusterName": "demo", "provision": planned}
        fields = set()
        for read_request, raw in ((read_provision_request, provision), (read_plan_request, plan)):
            try:
                read_request(raw, in_clear(), present_settings=present)
            except InvalidRequest as error:
                fields |= {one["field"].removeprefix("provision.") for one in error.problems}
        return fields

    expected = {f"settings.{field}"} if field else set()
    assert asked({}, settings) == expected
    assert asked(settings, {}) == expected
    assert asked(dict.fromkeys(settings), settings) == set()


# --- what a change does --------------------------------------------------------------------------

OF_BASIC = {**DEFAULTS, **DOMAIN}
OF_OIDC = {**DEFAULTS, **RESOLVED}


def test_going_to_oidc_names_the_administrator_the_order_and_that_it_is_one_way() -> None:
    switch, meanwhile = consequences(OF_BASIC, OF_OIDC)
    assert "no way back" in switch
    assert "alice@example.com (claim preferred_username)" in switch
    assert "https://login.example.com/realms/camunda" in switch
    assert "after the last broker" in meanwhile
    assert is_one_way(OF_BASIC, OF_OIDC)
    group = {**OF_OIDC, "OidcAdministrator": "", "OidcAdministratorGroup": "admins"}
    assert "group admins" in consequences(OF_BASIC, {**group, "OidcGroupsClaim": "groups"})[0]


def test_nothing_is_lost_at_a_creation_or_without_a_change() -> None:
    for before, after in (({}, OF_OIDC), (OF_BASIC, OF_BASIC), (OF_OIDC, OF_OIDC)):
        assert consequences(before, after) == []
        assert not is_one_way(before, after)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"OidcIssuer": "https://other.example.com/realms/x"}, "The issuer becomes https://other"),
        ({"OidcUsernameClaim": "email"}, "another OidcUsernameClaim"),
        ({"OidcAdministrator": "bob"}, "alice@example.com keeps its role"),
        ({"OidcHealthClientId": "new"}, "camunda-health keeps its role"),
        ({"DomainName": "other.example.com"}, "https://other.example.com/sso-callback"),
    ],
)
def test_another_identity_says_what_becomes_of_rights(change: dict[str, str], words: str) -> None:
    (found,) = consequences(OF_OIDC, {**OF_OIDC, **change})
    assert words in found
