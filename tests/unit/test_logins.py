"""How the functions log in: by the stack's outputs, and where a client's secret may go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import secrets
from lifecycle.adapters.aws.secrets import SecretsManagerClients
from lifecycle.camunda.credentials import Credentials, Token
from lifecycle.camunda.read_topology import query_topology
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.owned_secrets import TAG_PURPOSE, TAG_TOKEN_URL
from lifecycle.errors import (
    CredentialsRefused,
    SecretRefused,
    SecretUnreadable,
    StackNotUsable,
)
from moto import mock_aws

from tests.fakes.identity import TOKEN_URL, InMemoryTokens, logins
from tests.support.health import ADMIN, OIDC, OUTPUTS, HealthWorld, Users

if TYPE_CHECKING:
    from collections.abc import Iterator

BASIC = ClusterOutputs(OUTPUTS)
OURS = ClusterOutputs({**OUTPUTS, **OIDC})
BASIC_HEADER = ADMIN.authorizations()


def test_a_stack_without_the_output_is_one_of_basic_authentication() -> None:
    tokens = InMemoryTokens()
    source = logins(Users(), tokens).of(BASIC)
    assert source.login() == source.newest() == ADMIN
    assert not source.forget()
    assert OUTPUTS["AdminUserSecretArn"] in source.named
    assert tokens.issued == []


def test_a_token_comes_first_and_the_administrator_only_where_brokers_of_before_run() -> None:
    source = logins(Users(), InMemoryTokens()).of(OURS)
    assert source.newest().authorizations() == ("Bearer token-1",)
    assert tuple(source.login().authorizations()) == ("Bearer token-1", *BASIC_HEADER)


def test_the_administrator_s_secret_is_read_only_when_it_is_needed() -> None:
    class Gone:
        def credentials(self, *_: str) -> Credentials:
            raise SecretRefused("it was deleted once every broker was replaced.")

    login = logins(Gone()).of(OURS).login()
    assert next(iter(login.authorizations())) == "Bearer token-1"
    assert tuple(login.authorizations()) == ("Bearer token-1",)
    without = ClusterOutputs({**OURS, "AdminUserSecretArn": ""})
    assert tuple(logins(Users()).of(without).login().authorizations()) == ("Bearer token-1",)


def test_neither_a_token_nor_a_password_is_in_a_representation() -> None:
    source = logins(Users(), InMemoryTokens(value="very-secret")).of(OURS)
    for one in (source.login(), source.newest(), Token("very-secret")):
        assert "very-secret" not in repr(one)
        assert ADMIN.password not in repr(one)


@pytest.mark.parametrize("missing", ["OidcTokenUrl", "OidcHealthClientId", "OidcHealthSecretArn"])
def test_a_stack_that_names_no_client_is_refused_by_the_output(missing: str) -> None:
    source = logins(Users()).of(ClusterOutputs({**OURS, missing: ""}))
    with pytest.raises(StackNotUsable, match=missing):
        source.login()


def test_a_token_that_was_revoked_is_replaced_once() -> None:
    world = HealthWorld()
    tokens = InMemoryTokens(old=True)
    source = logins(Users(), tokens).of(ClusterOutputs({**OURS, "AdminUserSecretArn": ""}))
    source.login()
    world.management._credentials = Token("token-2")
    assert query_topology(world.management, source).brokers
    assert len(tokens.issued) == 2
    world.management._credentials = Credentials("nobody", "nothing")
    with pytest.raises(CredentialsRefused, match="does not take the token of client health"):
        query_topology(world.management, source)
    assert len(tokens.issued) == 3


# --- the secret ----------------------------------------------------------------------------------

TAGS = {
    "camunda:control-plane": "control",
    "camunda:cluster": "demo",
    TAG_PURPOSE: "oidc-client",
    TAG_TOKEN_URL: TOKEN_URL,
}
CLIENTS = SecretsManagerClients("control")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    with mock_aws():
        one = boto3.client("secretsmanager", "eu-central-1")
        monkeypatch.setattr(secrets, "client", lambda _: one)
        yield one


def stored(api: Any, tags: dict[str, str], text: str = '{"clientSecret": "hidden"}') -> str:
    given = [{"Key": key, "Value": value} for key, value in tags.items()]
    return str(api.create_secret(Name="a-client", SecretString=text, Tags=given)["ARN"])


def test_the_secret_of_the_cluster_s_client_is_read_for_its_url(api: Any) -> None:
    assert CLIENTS.secret(stored(api, TAGS), "demo", TOKEN_URL) == "hidden"


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        (
            {TAG_TOKEN_URL: "https://thief.example.com/token"},
            "has 'https://thief.exa",
        ),
        ({TAG_TOKEN_URL: f"{TOKEN_URL}/"}, f"allowed is the value '{TOKEN_URL}'"),
        ({TAG_TOKEN_URL: None}, f"does not carry the tag {TAG_TOKEN_URL}"),
        ({TAG_PURPOSE: "camunda-user"}, "has 'camunda-user' in the tag camunda:purpose"),
        ({"camunda:cluster": "prod"}, "has 'prod' in the tag camunda:cluster"),
        ({"camunda:cluster": None}, "does not carry the tag camunda:cluster"),
        ({"camunda:control-plane": "another"}, "has 'another' in the tag camunda:control-plane"),
    ],
)
def test_another_secret_or_one_for_another_url_is_not_read(
    api: Any, monkeypatch: pytest.MonkeyPatch, tags: dict[str, str | None], why: str
) -> None:
    """A stack that another tool made may name any secret and any URL."""
    given = {key: value for key, value in {**TAGS, **tags}.items() if value is not None}
    arn = stored(api, given)
    monkeypatch.setattr(api, "get_secret_value", lambda **_: pytest.fail("it was read"))
    with pytest.raises(SecretRefused) as refused:
        CLIENTS.secret(arn, "demo", TOKEN_URL)
    assert why in refused.value.message
    assert f"aws secretsmanager tag-resource --secret-id {arn}" in refused.value.message


@pytest.mark.parametrize(
    "text",
    ["hidden", "[]", '{"clientSecret": ""}', '{"clientSecret": 7}', '{"password": "hidden"}'],
)
def test_another_shape_is_named_and_not_repeated(api: Any, text: str) -> None:
    with pytest.raises(SecretUnreadable, match="is not JSON with clientSecret") as unreadable:
        CLIENTS.secret(stored(api, TAGS, text), "demo", TOKEN_URL)
    assert "hidden" not in str(unreadable.value)
    assert unreadable.value.__cause__ is None
    assert unreadable.value.__suppress_context__


def test_the_tags_that_a_command_sets_are_those_that_are_compared(api: Any) -> None:
    arn = stored(api, {"camunda:control-plane": "control"})
    with pytest.raises(SecretRefused) as refused:
        CLIENTS.secret(arn, "demo", TOKEN_URL)
    command = refused.value.message
    for key in ("camunda:control-plane", "camunda:cluster", TAG_PURPOSE):
        assert f"Key={key},Value={TAGS[key]}" in command
    assert json.loads(api.get_secret_value(SecretId=arn)["SecretString"])
