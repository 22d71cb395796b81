"""Variables, secrets, roles and outputs of a cluster with an identity provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.parameters import cluster_environment
from lifecycle.provisioning.identity_provider import owned_with

from tests.support.login import KEYCLOAK, RESOLVED
from tests.unit.templates.resolver import Resolved, resolve, template
from tests.unit.templates.test_services import broker, container, environment

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "CAMUNDA_SECURITY_"
ROLES = f"{PREFIX}INITIALIZATION_DEFAULTROLES_"


def connectors(cluster: Resolved) -> Mapping[str, Any]:
    return container(cluster, "ConnectorsTaskDefinition", "connectors")


def secrets(definition: Mapping[str, Any]) -> dict[str, str]:
    return {one["Name"]: one["ValueFrom"] for one in definition["Secrets"]}


def of_login(names: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in names.items() if name.startswith(PREFIX)}


def test_brokers_get_the_identity_provider_and_no_users() -> None:
    found = broker(resolve("cluster", **RESOLVED))
    oidc = f"{PREFIX}AUTHENTICATION_OIDC_"
    assert of_login(environment(found)) == {
        f"{PREFIX}AUTHENTICATION_METHOD": "oidc",
        f"{PREFIX}AUTHENTICATION_UNPROTECTEDAPI": "false",
        f"{PREFIX}AUTHORIZATIONS_ENABLED": "true",
        f"{oidc}ISSUERURI": KEYCLOAK["OidcIssuer"],
        f"{oidc}CLIENTID": "camunda-web",
        f"{oidc}REDIRECTURI": "https://camunda.example.com/sso-callback",
        f"{oidc}SCOPE": "openid,profile",
        f"{oidc}USERNAMECLAIM": "preferred_username",
        f"{oidc}CLIENTIDCLAIM": "client_id",
        f"{oidc}PREFERUSERNAMECLAIM": "false",
        f"{oidc}IDPLOGOUTENABLED": "true",
        f"{oidc}AUDIENCES": "camunda-web",
        f"{ROLES}ADMIN_USERS_0": "alice@example.com",
        f"{ROLES}ADMIN_CLIENTS_0": "camunda-health",
        f"{ROLES}CONNECTORS_CLIENTS_0": "camunda-connectors",
    }
    assert of_login(secrets(found)) == {
        f"{oidc}CLIENTSECRET": f"{KEYCLOAK['OidcClientSecretArn']}:clientSecret::"
    }
    assert environment(found)["SERVER_FORWARDHEADERSSTRATEGY"] == "native"


def test_with_passwords_nothing_of_it_is_there() -> None:
    cluster = resolve("cluster")
    for one in (broker(cluster), connectors(cluster)):
        assert not [name for name in {**environment(one), **secrets(one)} if "OIDC" in name]
    assert environment(broker(cluster))[f"{PREFIX}AUTHENTICATION_METHOD"] == "basic"
    assert environment(broker(cluster))[f"{ROLES}ADMIN_USERS_0"] == "admin"
    assert environment(connectors(cluster))["CAMUNDA_CLIENT_AUTH_METHOD"] == "basic"
    assert {name for name in cluster.outputs if name.startswith("Oidc")} == set()
    assert cluster.outputs["Authentication"] == "basic"


def test_a_group_stands_beside_a_user_or_alone() -> None:
    group = {"OidcAdministratorGroup": "Camunda Admins", "OidcGroupsClaim": "groups"}
    both = environment(broker(resolve("cluster", **RESOLVED, **group)))
    assert both[f"{ROLES}ADMIN_GROUPS_0"] == "Camunda Admins"
    assert both[f"{PREFIX}AUTHENTICATION_OIDC_GROUPSCLAIM"] == "groups"
    alone = resolve("cluster", **{**RESOLVED, **group, "OidcAdministrator": ""})
    assert f"{ROLES}ADMIN_USERS_0" not in environment(broker(alone))
    assert "OidcAdministrator" not in alone.outputs


def test_connectors_log_in_as_a_client_and_without_a_password() -> None:
    asked = {"OidcClientScope": "camunda/.default", "OidcClientAudience": "camunda"}
    found = connectors(resolve("cluster", **RESOLVED, **asked))
    login = "CAMUNDA_CLIENT_AUTH_"
    assert {n: v for n, v in environment(found).items() if n.startswith(login)} == {
        f"{login}METHOD": "oidc",
        f"{login}CLIENTID": "camunda-connectors",
        f"{login}TOKENURL": RESOLVED["OidcTokenUrl"],
        f"{login}AUDIENCE": "camunda",
        f"{login}SCOPE": "camunda/.default",
    }
    assert secrets(found) == {
        f"{login}CLIENTSECRET": f"{KEYCLOAK['OidcConnectorsSecretArn']}:clientSecret::"
    }


@pytest.mark.parametrize(
    ("parameter", "role"),
    [
        ("OidcClientSecretArn", "OrchestrationExecutionRole"),
        ("OidcConnectorsSecretArn", "ConnectorsExecutionRole"),
        ("OidcHealthSecretArn", None),
    ],
)
def test_each_client_secret_reaches_one_service_alone(parameter: str, role: str | None) -> None:
    arn = KEYCLOAK[parameter]
    cluster = resolve("cluster", **RESOLVED)
    readers = {
        name: one
        for name, found in cluster.of_type("AWS::IAM::Role").items()
        for policy in found["Policies"]
        for one in policy["PolicyDocument"]["Statement"]
        if one["Resource"] == arn
    }
    assert set(readers) == ({role} if role else set())
    for one in readers.values():
        assert one["Condition"] == {
            "StringEquals": {
                "aws:ResourceTag/camunda:control-plane": "control",
                "aws:ResourceTag/camunda:cluster": "demo",
                "aws:ResourceTag/camunda:purpose": "task",
            }
        }


def test_a_broker_of_the_revision_before_can_still_be_started() -> None:
    def reads(cluster: Resolved) -> set[str]:
        policies = cluster.properties("OrchestrationExecutionRole")["Policies"]
        start = next(one for one in policies if one["PolicyName"] == "start")
        statements = start["PolicyDocument"]["Statement"]
        return set(next(one["Resource"] for one in statements if one["Sid"] == "ReadSecrets"))

    assert reads(resolve("cluster", **RESOLVED)) == reads(resolve("cluster"))


def test_functions_get_what_they_log_in_with() -> None:
    asked = {"OidcClientScope": "camunda/.default", "OidcClientAudience": "camunda"}
    outputs = resolve("cluster", **RESOLVED, **asked).outputs
    named = {
        name: value
        for name, value in outputs.items()
        if name.startswith("Oidc") or name == "Authentication"
    }
    assert named == {
        "Authentication": "oidc",
        "OidcIssuer": RESOLVED["OidcIssuer"],
        "OidcTokenUrl": RESOLVED["OidcTokenUrl"],
        "OidcClientId": "camunda-web",
        "OidcHealthClientId": "camunda-health",
        "OidcHealthSecretArn": RESOLVED["OidcHealthSecretArn"],
        "OidcClientScope": "camunda/.default",
        "OidcClientAudience": "camunda",
        "OidcAdministrator": "alice@example.com",
    }


def test_no_client_secret_is_a_parameter() -> None:
    for name, declared in template("cluster")["Parameters"].items():
        if "Secret" in name and name != "SecretAgeDays":
            assert declared["AllowedPattern"].startswith("^(arn:"), name


@pytest.mark.parametrize(("login", "parameters"), [("basic", {}), ("oidc", RESOLVED)])
def test_a_request_may_set_what_the_template_does_not(
    login: str, parameters: dict[str, str]
) -> None:
    cluster = resolve("cluster", **parameters)
    owned = owned_with(login, cluster_environment())
    for service, found in (("brokers", broker(cluster)), ("connectors", connectors(cluster))):
        names = {**environment(found), **secrets(found)}
        assert set(names) <= set(owned[service])
        free = set(cluster_environment()[service]) - set(owned[service])
        assert not free & set(names)
        assert bool(free) is (login == "basic")


def test_a_refusal_names_the_parameters_behind_conditions_of_conditions() -> None:
    names = cluster_environment()["brokers"]
    assert names[f"{PREFIX}AUTHENTICATION_OIDC_GROUPSCLAIM"] == [
        "Authentication",
        "OidcGroupsClaim",
    ]
    assert names[f"{PREFIX}AUTHENTICATION_OIDC_REDIRECTURI"] == ["Authentication", "DomainName"]
