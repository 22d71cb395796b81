"""What a broker decides about tokens: settings, claims, and the principal of each."""

from __future__ import annotations

from typing import Any

import pytest

from local.broker.identity import (
    Initial,
    OidcSettings,
    Principal,
    Rule,
    TokenRejected,
    check_claims,
    check_id_token,
    initial,
    owners,
    principal,
    read,
    sessions_persist,
)
from local.broker.settings import InvalidSetting

pytestmark = pytest.mark.unit

PREFIX = "CAMUNDA_SECURITY_AUTHENTICATION_"
INITIAL = "CAMUNDA_SECURITY_INITIALIZATION_"
NOW = 1_000_000.0
SETTINGS = OidcSettings("https://issuer", "camunda", "secret", audiences=("camunda", "api"))
GOOD = {"iss": "https://issuer", "aud": "camunda", "exp": NOW + 10, "sub": "a"}


def environment(**more: str) -> dict[str, str]:
    oidc = {"ISSUERURI": "https://issuer", "CLIENTID": "camunda", "CLIENTSECRET": "s", **more}
    return {
        f"{PREFIX}METHOD": "oidc",
        **{f"{PREFIX}OIDC_{name}": value for name, value in oidc.items()},
    }


def settings(**more: Any) -> OidcSettings:
    return OidcSettings("https://issuer", "camunda", "secret", **more)


def test_the_defaults_are_those_of_camunda() -> None:
    found = read(environment(), "8.9")
    assert found == OidcSettings("https://issuer", "camunda", "s")
    assert found.redirect_uri == "{baseUrl}/sso-callback"
    assert (found.username_claim, found.client_id_claim, found.scope) == (
        "sub",
        "",
        ("openid", "profile"),
    )
    assert "secret" not in repr(SETTINGS)


@pytest.mark.parametrize(
    "given",
    [
        {"AUDIENCES": "a, b", "SCOPE": "openid,email"},
        {"AUDIENCES_0": "a", "AUDIENCES_1": "b", "SCOPE_0": "openid", "SCOPE_1": "email"},
    ],
)
def test_lists_are_read_in_both_forms(given: dict[str, str]) -> None:
    found = read(environment(**given), "8.9")
    assert found is not None
    assert (found.audiences, found.scope) == (("a", "b"), ("openid", "email"))


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({f"{PREFIX}METHOD": "saml"}, "METHOD=saml; allowed: basic, oidc"),
        ({f"{PREFIX}OIDC_CLIENTSECRET": ""}, "OIDC_CLIENTSECRET is not set"),
        ({f"{PREFIX}OIDC_JWKSETURI": "https://x"}, "OIDC_JWKSETURI: not performed"),
        ({f"{PREFIX}OIDC_CLIENTAUTHENTICATIONMETHOD": "private_key_jwt"}, "private_key_jwt"),
        ({f"{PREFIX}OIDC_PREFERUSERNAMECLAIM": "yes"}, "allowed: true, false"),
        ({f"{PREFIX}PROVIDERS_OIDC_A_CLIENTID": "x"}, "PROVIDERS_OIDC_A_CLIENTID"),
        ({f"{INITIAL}USERS_0_USERNAME": "admin"}, f"{INITIAL}USERS_0_USERNAME: Creation of"),
    ],
)
def test_what_is_not_performed_is_refused_by_name(more: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        read(environment() | more, "8.9")
    assert named in str(refused.value)


def test_settings_of_an_issuer_are_refused_with_passwords() -> None:
    assert read({}, "8.9") is None
    with pytest.raises(InvalidSetting, match="OIDC_CLIENTID: Oidc configuration is not supported"):
        read(environment() | {f"{PREFIX}METHOD": "basic"}, "8.9")


def test_only_8_10_looks_at_the_path_of_the_redirect() -> None:
    wrong = environment(REDIRECTURI="https://demo.test/callback")
    assert read(wrong, "8.9") is not None
    with pytest.raises(InvalidSetting, match="'/callback' is not a callback path"):
        read(wrong, "8.10")
    assert read(environment(REDIRECTURI="https://demo.test/sso-callback"), "8.10") is not None


def test_sessions_persist_by_either_name() -> None:
    assert sessions_persist({"CAMUNDA_PERSISTENT_SESSIONS_ENABLED": "true"})
    assert sessions_persist({"CAMUNDA_SECURITY_SESSION_PERSISTENT_ENABLED": "true"})
    assert not sessions_persist({})


def test_initial_members_are_of_every_kind() -> None:
    roles = f"{INITIAL}DEFAULTROLES_"
    rule = f"{INITIAL}MAPPINGRULES_0_"
    found = initial(
        {
            f"{roles}ADMIN_USERS_0": "anna",
            f"{roles}ADMIN_GROUPS_0": "admins",
            f"{roles}CONNECTORS_CLIENTS_0": "connectors",
            f"{roles}READONLY-ADMIN_MAPPINGRULES_0": "ops",
            f"{rule}MAPPINGRULEID": "ops",
            f"{rule}CLAIMNAME": "department",
            f"{rule}CLAIMVALUE": "operations",
        }
    )
    assert found == Initial(
        (
            ("admin", "GROUP", "admins"),
            ("admin", "USER", "anna"),
            ("connectors", "CLIENT", "connectors"),
            ("readonly-admin", "MAPPING_RULE", "ops"),
        ),
        (Rule("ops", "department", "operations"),),
    )
    with pytest.raises(InvalidSetting, match="READONLYADMIN_USERS_0: no default role"):
        initial({f"{roles}READONLYADMIN_USERS_0": "anna"})
    with pytest.raises(InvalidSetting, match="no rule of that MAPPINGRULEID"):
        initial({f"{roles}ADMIN_MAPPINGRULES_0": "nobody"})
    with pytest.raises(InvalidSetting, match="MAPPINGRULES_0_CLAIMNAME is not set"):
        initial({f"{rule}MAPPINGRULEID": "ops"})


@pytest.mark.parametrize(
    "change", [{}, {"aud": ["x", "api"]}, {"exp": NOW - 60}, {"nbf": NOW + 60}]
)
def test_claims_are_accepted_up_to_the_clock_skew(change: dict[str, Any]) -> None:
    check_claims(GOOD | change, SETTINGS, NOW)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": "https://issuer/"}, "iss"),
        ({"iss": None}, "iss"),
        ({"exp": NOW - 61}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": "soon"}, "expired"),
        ({"exp": True}, "expired"),
        ({"nbf": NOW + 61}, "used before"),
        ({"nbf": "soon"}, "used before"),
        ({"aud": "other"}, "Token audiences are"),
        ({"aud": None}, "Token audiences are"),
    ],
)
def test_claims_are_rejected_with_the_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenRejected, match=reason):
        check_claims(GOOD | change, SETTINGS, NOW)


def test_without_audiences_any_audience_counts() -> None:
    check_claims(GOOD | {"aud": None}, settings(), NOW)


ID_TOKEN = GOOD | {"iat": NOW, "nonce": "n"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": "https://other"}, "iss"),
        ({"aud": "other"}, "aud"),
        ({"aud": ["camunda", "other"]}, "azp"),
        ({"azp": "other"}, "azp"),
        ({"exp": NOW - 61}, "exp"),
        ({"iat": NOW + 61}, "iat"),
        ({"sub": ""}, "sub"),
        ({"nonce": "another"}, "invalid_nonce"),
        ({"nonce": None}, "invalid_nonce"),
    ],
)
def test_an_id_token_is_that_of_its_request(change: dict[str, Any], reason: str) -> None:
    check_id_token(ID_TOKEN, SETTINGS, "n", NOW)
    with pytest.raises(TokenRejected, match=reason):
        check_id_token(ID_TOKEN | change, SETTINGS, "n", NOW)


@pytest.mark.parametrize(
    ("claims", "more", "kind", "name"),
    [
        ({"sub": "a"}, {}, "USER", "a"),
        ({"sub": "a", "client_id": "c"}, {"client_id_claim": "client_id"}, "CLIENT", "c"),
        (
            {"sub": "a", "client_id": "c"},
            {"client_id_claim": "client_id", "prefer_username": True},
            "USER",
            "a",
        ),
        (
            {"client_id": "c"},
            {"client_id_claim": "client_id", "prefer_username": True},
            "CLIENT",
            "c",
        ),
        ({"a": {"b": "deep"}}, {"username_claim": "$.a.b"}, "USER", "deep"),
        ({"cognito:groups": ["g"], "sub": "a"}, {"groups_claim": "cognito:groups"}, "USER", "a"),
        ({"x": {"y:z": "q"}}, {"username_claim": "$['x']['y:z']"}, "USER", "q"),
    ],
)
def test_claims_name_a_user_or_a_client(
    claims: dict[str, Any], more: dict[str, Any], kind: str, name: str
) -> None:
    found = principal(claims, settings(**more))
    assert (found.kind, found.name) == (kind, name)


def test_claims_without_a_principal_are_rejected() -> None:
    with pytest.raises(TokenRejected, match="Neither username claim"):
        principal({"sub": "a"}, settings(username_claim="preferred_username"))
    with pytest.raises(TokenRejected, match="is not a string"):
        principal({"sub": ["a"]}, settings())


@pytest.mark.parametrize(
    ("value", "groups"), [(["a", "b", "a"], ("a", "b")), ("a", ("a",)), (None, ()), ([], ())]
)
def test_groups_are_a_list_or_one_text(value: Any, groups: tuple[str, ...]) -> None:
    found = principal({"sub": "x", "groups": value}, settings(groups_claim="groups"))
    assert found.groups == groups
    assert principal({"sub": "x", "groups": value}, settings()).groups == ()


def test_groups_of_another_shape_reject_the_token() -> None:
    with pytest.raises(TokenRejected, match="not a string array"):
        principal({"sub": "x", "groups": [1]}, settings(groups_claim="groups"))


def test_a_principal_owns_its_name_its_rules_and_its_groups() -> None:
    who = Principal("USER", "a", {"dept": ["ops", "dev"], "level": 3}, ("g",))
    rules = [Rule("r1", "dept", "ops"), Rule("r2", "dept", "hr"), Rule("r3", "level", "3")]
    assert owners(who, rules) == [
        ("USER", "a"),
        ("MAPPING_RULE", "r1"),
        ("MAPPING_RULE", "r3"),
        ("GROUP", "g"),
    ]
