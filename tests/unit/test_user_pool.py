"""A user pool that is made with the cluster: the request, the template, the seed of its secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws.user_pools import CognitoUserPools, SecretsManagerClientStore
from lifecycle.cluster.checks import Result, overall
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import tags
from lifecycle.cluster.stack import Stack
from lifecycle.errors import InvalidRequest, SecretRefused, StackNotUsable, UserPoolUnusable
from lifecycle.preflight.identity_provider import unread
from lifecycle.provisioning.identity_provider import consequences
from lifecycle.provisioning.request import read_provision_request
from lifecycle.provisioning.seed_login import CLIENTS, LoginSeeder
from lifecycle.provisioning.validate import validate_plan, validate_request
from moto import mock_aws

from tests.support.declared import in_clear
from tests.support.login import COGNITO, KEYCLOAK, POOL, POOL_RESOLVED, RESOLVED
from tests.support.world import CONTROL, REGISTRIES, World, operation
from tests.unit.templates.resolver import resolve, template
from tests.unit.templates.test_services import broker, container, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.unit

DEFAULTS = {name: str(one.get("default", "")) for name, one in in_clear().items()}


def read(
    parameters: Mapping[str, object], present: Mapping[str, str] | None = None
) -> dict[str, str]:
    raw = {"clusterName": "demo", "parameters": dict(parameters)}
    return dict(read_provision_request(raw, in_clear(), present).parameters)


def refused(
    parameters: Mapping[str, object], present: Mapping[str, str] | None = None
) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        read(parameters, present)
    return {
        problem["field"].removeprefix("parameters."): problem["allowed"]
        for problem in caught.value.problems
    }


# The request


def test_what_the_pool_settles_is_filled_in() -> None:
    assert read(POOL) == POOL_RESOLVED
    assert read({**POOL, "OidcAdministrator": "alice"})["OidcAdministrator"] == "alice"


def test_a_pool_needs_the_address_of_its_first_user() -> None:
    found = refused({**POOL, "CognitoAdministratorEmail": ""})
    assert set(found) == {"CognitoAdministratorEmail"}
    assert "administrator" in found["CognitoAdministratorEmail"]


def test_what_is_the_pools_is_refused_beside_it() -> None:
    theirs = (
        *("OidcIssuer", "OidcTokenUrl", "OidcClientId", "OidcClientSecretArn"),
        *("OidcConnectorsClientId", "OidcConnectorsSecretArn"),
        *("OidcHealthClientId", "OidcHealthSecretArn"),
    )
    found = refused({**COGNITO, **POOL, "OidcAdministrator": "alice"})
    assert set(found) == set(theirs)
    assert all("CognitoUserPool create" in allowed for allowed in found.values())


@pytest.mark.parametrize("kind", ["keycloak", "entra", "generic"])
def test_a_pool_is_of_cognito(kind: str) -> None:
    assert "IdentityProvider" in refused({**POOL, "IdentityProvider": kind})


@pytest.mark.parametrize("name", ["CognitoUserPool", "CognitoAdministratorEmail"])
def test_a_pool_is_nothing_with_passwords(name: str) -> None:
    assert set(refused({name: POOL[name]})) == {name}


def test_an_address_alone_is_refused() -> None:
    given = {**KEYCLOAK, "CognitoAdministratorEmail": "alice@example.com"}
    assert set(refused(given)) == {"CognitoAdministratorEmail"}


def test_a_cluster_keeps_its_pool_and_another_identity_provider_stays() -> None:
    pool = {**DEFAULTS, **POOL_RESOLVED}
    assert set(refused({"CognitoUserPool": "none"}, pool)) == {"CognitoUserPool"}
    other = {**DEFAULTS, **RESOLVED}
    given = {"CognitoUserPool": "create", "CognitoAdministratorEmail": "a@example.com"}
    assert set(refused(given, other)) == {"CognitoUserPool"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("CognitoAdministratorEmail", "bob@example.com"), ("OidcAdministrator", "bob")],
)
def test_the_first_user_stays_as_it_was_made(name: str, value: str) -> None:
    found = refused({name: value}, {**DEFAULTS, **POOL_RESOLVED})
    assert set(found) == {name}
    assert "omit it" in found[name]


@pytest.mark.parametrize(
    "name", ["alice@example.com", "alice@corp", "Alice Smith", "a" * 129], ids=lambda one: one[:20]
)
def test_a_name_that_cognito_refuses_is_refused_before_anything_changes(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read({**POOL, "OidcAdministrator": name})
    (problem,) = caught.value.problems
    assert problem["field"] == "parameters.OidcAdministrator"
    assert name[:64] in problem["given"]
    assert "without @ and spaces" in problem["allowed"]
    assert "CognitoAdministratorEmail" in problem["allowed"]


def test_a_name_that_cognito_takes_is_one_of_its_pool_alone() -> None:
    for name in ("alice", "a" * 128, "o'neil+x=1~(a)|b*&/:._-"):
        assert read({**POOL, "OidcAdministrator": name})["OidcAdministrator"] == name
    # The name of a user of another identity provider may be an address.
    assert read({**KEYCLOAK, "OidcAdministrator": "alice@example.com"})


@pytest.mark.parametrize("plan", [False, True])
def test_the_first_user_of_a_cluster_that_was_never_complete_is_corrected(plan: bool) -> None:
    wrong = {"OidcAdministrator": "alice@example.com", "CognitoAdministratorEmail": "a@x.example"}
    present = {**DEFAULTS, **POOL_RESOLVED, **wrong}
    right = {"OidcAdministrator": "alice", "CognitoAdministratorEmail": "alice@example.com"}
    world = World()
    world.stacks.stacks["control-demo"] = Stack(
        name="control-demo",
        stack_id="arn:stack:demo",
        status="CREATE_FAILED",
        parameters=present,
        tags=tags(CONTROL, "demo"),
    )

    def validated(given: Mapping[str, object]) -> Mapping[str, str]:
        some: dict[str, Any] = {
            "control_stack": CONTROL,
            "declarations": in_clear(),
            "stacks": world.stacks,
            "registries": REGISTRIES,
        }
        asked = {"parameters": given}
        if plan:
            return validate_plan({"clusterName": "demo", "provision": asked}, **some).parameters
        return validate_request({"clusterName": "demo", **asked}, **some).parameters

    assert validated(right) == right
    # The name that Cognito has refused is not tried again.
    with pytest.raises(InvalidRequest) as caught:
        validated({"LogRetentionDays": 30})
    assert "OidcAdministrator" in str(caught.value)
    made = replace(world.stacks.stacks["control-demo"], status="CREATE_COMPLETE")
    world.stacks.stacks["control-demo"] = made
    with pytest.raises(InvalidRequest, match="omit it"):
        validated(right)


def test_a_cluster_with_a_pool_changes_in_other_ways() -> None:
    present = {**DEFAULTS, **POOL_RESOLVED}
    assert read({"LogRetentionDays": 30}, present) == {"LogRetentionDays": "30"}
    assert read({"OidcScope": "openid"}, present) == {"OidcScope": "openid"}


def test_the_plan_names_the_pool_that_does_not_exist_yet() -> None:
    found = consequences(DEFAULTS, {**DEFAULTS, **POOL_RESOLVED})
    assert "administrator (claim username) of the user pool of Amazon Cognito" in found[0]


def test_nothing_is_read_of_a_pool_before_it_exists() -> None:
    for made, words in ((False, "does not exist yet"), (True, "part of the cluster's stack")):
        checks = unread(made=made)
        assert {one.result for one in checks} == {Result.SKIP}
        assert all(words in one.seen for one in checks)
        assert overall(checks) == Result.PASS


# The template


def test_the_stack_makes_the_pool_and_everything_refers_to_it() -> None:
    cluster = resolve("cluster", **POOL_RESOLVED)
    names = environment(broker(cluster))
    oidc = "CAMUNDA_SECURITY_AUTHENTICATION_OIDC_"
    outputs = cluster.outputs
    assert names[f"{oidc}ISSUERURI"] == outputs["OidcIssuer"]
    assert outputs["OidcIssuer"].startswith("https://cognito-idp.")
    assert names[f"{oidc}CLIENTID"] == outputs["OidcClientId"]
    roles = "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_"
    assert names[f"{roles}ADMIN_USERS_0"] == "administrator"
    assert names[f"{roles}ADMIN_CLIENTS_0"] == outputs["OidcHealthClientId"]
    assert names[f"{roles}CONNECTORS_CLIENTS_0"] == outputs["OidcConnectorsClientId"]
    theirs = container(cluster, "ConnectorsTaskDefinition", "connectors")
    assert environment(theirs)["CAMUNDA_CLIENT_AUTH_TOKENURL"] == outputs["OidcTokenUrl"]
    assert environment(theirs)["CAMUNDA_CLIENT_AUTH_CLIENTID"] == outputs["OidcConnectorsClientId"]
    named = {one.client_output: outputs[one.client_output] for one in CLIENTS}
    assert len(set(named.values())) == 3
    secrets = {one.secret_output: outputs[one.secret_output] for one in CLIENTS}
    assert len(set(secrets.values())) == 3
    (url,) = [
        tag["Value"]
        for tag in cluster.properties("HealthClientSecret")["Tags"]
        if tag["Key"] == "camunda:token-url"
    ]
    assert url == outputs["OidcTokenUrl"]
    reads = {
        name
        for name, role in cluster.of_type("AWS::IAM::Role").items()
        for policy in role["Policies"]
        for one in policy["PolicyDocument"]["Statement"]
        if one["Resource"] == outputs["OidcClientSecretArn"]
    }
    assert reads == {"OrchestrationExecutionRole"}


def test_without_it_there_is_no_pool() -> None:
    for parameters in ({}, RESOLVED):
        cluster = resolve("cluster", **parameters)
        assert not [name for name in ("UserPool", "WebClient") if name in cluster.resources]
        assert "CognitoUserPoolId" not in cluster.outputs


def test_no_client_secret_is_in_a_property() -> None:
    resources = template("cluster")["Resources"]
    assert "ClientSecret" not in {
        one["Fn::GetAtt"][1] for one in _dictionaries(resources) if "Fn::GetAtt" in one
    }
    for name in ("WebClientSecret", "ConnectorsClientSecret", "HealthClientSecret"):
        assert not {"SecretString", "GenerateSecretString"} & set(resources[name]["Properties"])


def test_users_outlive_the_cluster_and_not_a_trial() -> None:
    resources = template("cluster")["Resources"]
    for name in ("UserPool", "FirstUser"):
        assert resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"
    for trial, protection in (("false", "ACTIVE"), ("true", "INACTIVE")):
        cluster = resolve("cluster", **POOL_RESOLVED, Trial=trial)
        assert cluster.properties("UserPool")["DeletionProtection"] == protection


def _dictionaries(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for one in node.values():
            yield from _dictionaries(one)
    elif isinstance(node, list):
        for one in node:
            yield from _dictionaries(one)


# The seed

REGION = "eu-central-1"


class Seeded:
    """A pool with its clients and their empty secrets, as the stack makes them."""

    def __init__(self) -> None:
        self.cognito = boto3.client("cognito-idp", region_name=REGION)
        self.secrets = boto3.client("secretsmanager", region_name=REGION)
        self.pool = self.cognito.create_user_pool(PoolName="control-demo")["UserPool"]["Id"]
        values = {"ClusterName": "demo", "CognitoUserPoolId": self.pool}
        for one in CLIENTS:
            client = self.cognito.create_user_pool_client(
                UserPoolId=self.pool, ClientName=one.name, GenerateSecret=True
            )["UserPoolClient"]
            values[one.client_output] = client["ClientId"]
            values[one.secret_output] = self.secrets.create_secret(
                Name=one.name,
                Tags=[
                    {"Key": "camunda:control-plane", "Value": "control"},
                    {"Key": "camunda:cluster", "Value": "demo"},
                    {"Key": "camunda:purpose", "Value": one.purpose.value},
                ],
            )["ARN"]
        self.values = values
        self.world = World()
        self.seeder = LoginSeeder(
            CognitoUserPools(), SecretsManagerClientStore("control"), self.world.journal
        )

    def seed(self) -> dict[str, Any]:
        return self.seeder.seed(operation(), ClusterOutputs(self.values))

    def of_cognito(self, output: str) -> str:
        found = self.cognito.describe_user_pool_client(
            UserPoolId=self.pool, ClientId=self.values[output]
        )
        return str(found["UserPoolClient"]["ClientSecret"])

    def stored(self, output: str) -> Any:
        found = self.secrets.get_secret_value(SecretId=self.values[output])
        return json.loads(found["SecretString"])


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seeded]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield Seeded()


def test_each_secret_gets_the_value_of_its_client(seeded: Seeded) -> None:
    report = seeded.seed()
    for one in CLIENTS:
        value = seeded.of_cognito(one.client_output)
        assert seeded.stored(one.secret_output) == {"clientSecret": value}
        assert value not in json.dumps(report)
        assert value not in repr(vars(seeded.world.table))
    assert report["clients"] == dict.fromkeys(("web", "connectors", "health"), "stored")


def test_what_is_in_place_is_left_alone(seeded: Seeded) -> None:
    seeded.seed()
    arn = seeded.values["OidcClientSecretArn"]
    before = seeded.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    assert set(seeded.seed()["clients"].values()) == {"already there"}
    assert seeded.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"] == before


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"clientSecret": "former"}', "no json"])
def test_another_value_is_replaced(seeded: Seeded, text: str) -> None:
    arn = seeded.values["OidcHealthSecretArn"]
    seeded.secrets.put_secret_value(SecretId=arn, SecretString=text or " ")
    assert seeded.seed()["clients"]["health"] == "stored"
    assert seeded.stored("OidcHealthSecretArn") == {
        "clientSecret": seeded.of_cognito("OidcHealthClientId")
    }


def test_a_secret_of_another_cluster_is_neither_read_nor_written(seeded: Seeded) -> None:
    arn = seeded.values["OidcClientSecretArn"]
    seeded.secrets.tag_resource(SecretId=arn, Tags=[{"Key": "camunda:cluster", "Value": "another"}])
    with pytest.raises(SecretRefused, match="another"):
        seeded.seed()
    assert not seeded.secrets.describe_secret(SecretId=arn).get("VersionIdsToStages")


def test_a_client_that_is_gone_or_has_no_secret_is_named(seeded: Seeded) -> None:
    public = seeded.cognito.create_user_pool_client(UserPoolId=seeded.pool, ClientName="public")
    seeded.values["OidcClientId"] = public["UserPoolClient"]["ClientId"]
    with pytest.raises(UserPoolUnusable, match="has no client secret"):
        seeded.seed()
    seeded.cognito.delete_user_pool_client(
        UserPoolId=seeded.pool, ClientId=seeded.values["OidcClientId"]
    )
    with pytest.raises(UserPoolUnusable, match="finds no client"):
        seeded.seed()


def test_a_missing_output_is_named_before_anything_is_read(seeded: Seeded) -> None:
    del seeded.values["OidcConnectorsSecretArn"]
    with pytest.raises(StackNotUsable, match="OidcConnectorsSecretArn"):
        seeded.seed()
    arn = seeded.values["OidcClientSecretArn"]
    assert not seeded.secrets.describe_secret(SecretId=arn).get("VersionIdsToStages")
