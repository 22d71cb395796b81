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
