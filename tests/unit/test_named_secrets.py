from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lifecycle.cluster.checks import Check, Result
from lifecycle.services.named_secrets import (
    NamedSecret,
    SecretSeen,
    Seen,
    check_secrets,
    named_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

REGION, ACCOUNT = "eu-central-1", "123456789012"
MAIL = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:team/mail-AbCdEf"
PARAMETER = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/team/host"
TAGS = {"camunda:control-plane": "control", "camunda:purpose": "task"}
OURS = SecretSeen(Seen.THERE, TAGS)


def check(
    seen: Mapping[str, SecretSeen] | None,
    *secrets: NamedSecret,
    account: str | None = ACCOUNT,
) -> Check:
    named = secrets or (NamedSecret("LicenseKeySecretArn", MAIL),)
    return check_secrets(
        named,
        seen,
        unread="no network",
        account=account,
        region=REGION,
        control_stack="control",
        cluster="demo",
    )


def test_secrets_are_found_in_parameters_and_settings_without_their_keys() -> None:
    found = named_secrets(
        {"LicenseKeySecretArn": MAIL, "RegistryCredentialsArn": ""},
        {
            "brokers": {"secrets": {"A": f"{MAIL}:password::", "GONE": None}},
            "connectors": {"secrets": {"SECRET_B": PARAMETER}, "javaToolOptions": "-Xmx1g"},
        },
    )
    assert found == (
        NamedSecret("LicenseKeySecretArn", MAIL),
        NamedSecret("settings.brokers.secrets.A", MAIL),
        NamedSecret("settings.connectors.secrets.SECRET_B", PARAMETER),
    )
    removed = {"brokers": None, "connectors": {"secrets": None}}
    assert named_secrets({}, removed) == ()


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (SecretSeen(Seen.ABSENT), "does not exist"),
        (SecretSeen(Seen.LEAVING, OURS.tags), "is scheduled for deletion"),
        (
            SecretSeen(Seen.DENIED),
            "does not exist, or does not carry the tag camunda:control-plane: AWS denies access",
        ),
        (SecretSeen(Seen.THERE), "does not carry the tag camunda:control-plane"),
        (
            SecretSeen(Seen.THERE, {"camunda:control-plane": "other"}),
            "has 'other' in the tag camunda:control-plane",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_field(seen: SecretSeen, words: str) -> None:
    found = check({MAIL: seen})
    assert found.result is Result.FAIL
    assert found.seen.startswith(f"LicenseKeySecretArn: {MAIL} {words}")
    assert "control" in found.remedy


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"camunda:purpose": "database-admin"}, "has 'database-admin' in the tag camunda:purpose"),
        ({"camunda:purpose": "camunda-user"}, "allowed is 'registry'"),
        ({"camunda:purpose": "task"}, "has 'task' in the tag camunda:purpose"),
        ({}, "does not carry the tag camunda:purpose; allowed is the value 'registry'"),
        ({"camunda:purpose": "registry", "camunda:cluster": "prod"}, "'prod' in the tag camunda:c"),
    ],
)
def test_a_registry_gets_no_secret_of_another_purpose_or_cluster(
    tags: dict[str, str], words: str
) -> None:
    registry = NamedSecret("RegistryCredentialsArn", MAIL)
    seen = SecretSeen(Seen.THERE, {"camunda:control-plane": "control", **tags})
    found = check({MAIL: seen}, registry)
    assert found.result is Result.FAIL
    assert words in found.seen
    assert f"tag-resource --secret-id {MAIL} --tags" in found.seen
    fine = SecretSeen(Seen.THERE, {**TAGS, "camunda:purpose": "registry"})
    assert check({MAIL: fine}, registry).result is Result.PASS


TOKENS = "https://login.example.com/realms/camunda/protocol/openid-connect/token"
HEALTH_TAGS = {
    "camunda:control-plane": "control",
    "camunda:cluster": "demo",
    "camunda:purpose": "oidc-client",
    "camunda:token-url": TOKENS,
}


def test_client_secrets_are_found_and_that_of_the_functions_with_its_one_destination() -> None:
    found = named_secrets(
        {
            "OidcClientSecretArn": MAIL,
            "OidcConnectorsSecretArn": f"{MAIL}2",
            "OidcHealthSecretArn": f"{MAIL}3",
            "OidcTokenUrl": TOKENS,
        },
        {},
    )
    assert found == (
        NamedSecret("OidcClientSecretArn", MAIL),
        NamedSecret("OidcConnectorsSecretArn", f"{MAIL}2"),
        NamedSecret("OidcHealthSecretArn", f"{MAIL}3", TOKENS),
    )
    assert [one.purpose for one in found] == ["task", "task", "oidc-client"]


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"camunda:purpose": "task"}, "allowed is 'oidc-client'"),
        ({"camunda:cluster": "prod"}, "has 'prod' in the tag camunda:cluster"),
        ({"camunda:cluster": None}, "does not carry the tag camunda:cluster"),
        (
            {"camunda:token-url": None},
            f"the tag camunda:token-url; allowed is the value '{TOKENS}'",
        ),
        (
            {"camunda:token-url": "https://evil.example.com/token"},
            "has 'https://evil.example.com/token' in the tag camunda:token-url",
        ),
    ],
)
def test_the_functions_send_a_client_secret_only_where_its_own_tag_allows(
    tags: dict[str, str | None], words: str
) -> None:
    health = NamedSecret("OidcHealthSecretArn", MAIL, TOKENS)
    fine = check({MAIL: SecretSeen(Seen.THERE, HEALTH_TAGS)}, health)
    assert fine.result is Result.PASS
    wrong = {name: value for name, value in {**HEALTH_TAGS, **tags}.items() if value is not None}
    found = check({MAIL: SecretSeen(Seen.THERE, wrong)}, health)
    assert found.result is Result.FAIL
    assert words in found.seen
    assert "Key=camunda:cluster,Value=demo Key=camunda:purpose,Value=oidc-client" in found.seen
    assert f"Key=camunda:token-url,Value={TOKENS}" in found.seen


@pytest.mark.parametrize("field", ["OidcClientSecretArn", "OidcConnectorsSecretArn"])
def test_a_client_of_one_cluster_lends_its_secret_to_no_other(field: str) -> None:
    client = NamedSecret(field, MAIL)
    fine = SecretSeen(Seen.THERE, {**TAGS, "camunda:cluster": "demo"})
    assert check({MAIL: fine}, client).result is Result.PASS
    for tags, words in (
        (TAGS, "does not carry the tag camunda:cluster; allowed is the value 'demo'"),
        ({**TAGS, "camunda:cluster": "prod"}, "has 'prod' in the tag camunda:cluster"),
    ):
        found = check({MAIL: SecretSeen(Seen.THERE, tags)}, client)
        assert found.result is Result.FAIL
        assert words in found.seen
        assert "Key=camunda:cluster,Value=demo Key=camunda:purpose,Value=task" in found.seen
        assert "camunda:cluster" in found.remedy
    other = SecretSeen(Seen.THERE, {**TAGS, "camunda:cluster": "prod"})
    taken = NamedSecret("settings.connectors.secrets.SECRET_A", MAIL)
    assert check({MAIL: other}, taken).result is Result.FAIL


def test_an_arn_without_its_end_finds_a_secret_that_no_role_could_read() -> None:
    part = NamedSecret("LicenseKeySecretArn", MAIL.removesuffix("-AbCdEf"))
    found = check({part.arn: SecretSeen(Seen.THERE, TAGS, MAIL)}, part)
    assert found.result is Result.FAIL
    assert f"allowed is {MAIL!r}" in found.seen
    whole = NamedSecret("LicenseKeySecretArn", MAIL)
    assert check({MAIL: SecretSeen(Seen.THERE, TAGS, MAIL)}, whole).result is Result.PASS


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (REGION, "us-east-1", "is in region us-east-1, not eu-central-1"),
        (ACCOUNT, "999999999999", "belongs to account 999999999999, not 123456789012"),
    ],
)
def test_what_is_elsewhere_is_refused_unread(old: str, new: str, words: str) -> None:
    found = check({}, NamedSecret("settings.brokers.secrets.A", MAIL.replace(old, new)))
    assert found.result is Result.FAIL
    assert words in found.seen


def test_what_cannot_be_read_is_a_warning_and_what_is_elsewhere_is_still_refused() -> None:
    found = check(None)
    assert found.result is Result.WARN
    assert found.seen == "LicenseKeySecretArn could not be read: no network"
    elsewhere = NamedSecret("a", MAIL.replace(REGION, "us-east-1"))
    assert check(None, elsewhere, NamedSecret("b", PARAMETER)).result is Result.FAIL
    assert check({MAIL: OURS}, account=None).result is Result.PASS


def test_all_that_are_there_pass_and_a_long_list_stays_short() -> None:
    assert check({MAIL: OURS}).seen == "1 exist and have the tags"
    many = [NamedSecret(f"s{n}", MAIL) for n in range(25)]
    assert "; and 5 more" in check({MAIL: SecretSeen(Seen.ABSENT)}, *many).seen
