"""The identity provider as a component of an instance: its name, certificate, file and secrets."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from local import identity, instance
from local.broker.identity import OidcSettings
from local.broker.issuer import Issuer
from local.component import Instance
from local.config import LocalConfig
from local.https import Response, Unreachable, call
from local.identity import CONNECTORS, HEALTH, ISSUER, TOKEN_URL, WEB
from local.processes import listeners
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    found = Instance.of(LocalConfig(tmp_path_factory.mktemp("instance"), block("identity")))
    host = instance.start(found, components=["identity"])
    try:
        yield found
    finally:
        host.stop(grace=30)
        assert found.names.lookup(identity.HOST) == ()
        assert not [one for one in listeners() if one.address == found.config.identity_address]


@pytest.fixture
def trusted(here: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(here.config.trust_file))


def registered(here: Instance) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(here.config.identity_file.read_text())
    return found


def secret(here: Instance, client: str) -> str:
    (found,) = [one for one in registered(here)["clients"] if one["clientId"] == client]
    return str(found["clientSecret"])


def ask_token(here: Instance, client: str, value: str) -> Response:
    pair = base64.b64encode(f"{client}:{value}".encode()).decode()
    return call(
        "POST",
        TOKEN_URL,
        resolve=here.names.reach,
        headers={"Authorization": f"Basic {pair}"},
        form={"grant_type": "client_credentials"},
    )


@pytest.mark.usefixtures("trusted")
def test_its_name_leads_to_it_with_the_instances_certificate(here: Instance) -> None:
    settings = OidcSettings(
        ISSUER, WEB, secret(here, WEB), client_id_claim="client_id", audiences=(WEB,)
    )
    broker = Issuer(settings, here.names.reach)
    for client in (CONNECTORS, HEALTH):
        answer = ask_token(here, client, secret(here, client))
        assert broker.principal(answer.document()["access_token"]).name == client


def test_who_does_not_trust_the_instance_gets_nothing(here: Instance) -> None:
    with pytest.raises(Unreachable, match="certificate verify failed"):
        ask_token(here, HEALTH, secret(here, HEALTH))


@pytest.mark.usefixtures("trusted")
def test_the_file_is_read_again_and_a_broken_one_changes_nothing(here: Instance) -> None:
    path, before = here.config.identity_file, here.config.identity_file.read_text()
    assert path.stat().st_mode & 0o077 == 0
    content = registered(here)
    content["clients"].append({"clientId": "mine", "clientSecret": "of mine"})
    try:
        assert ask_token(here, "mine", "of mine").status == 401
        write(here, json.dumps(content), 1)
        assert ask_token(here, "mine", "of mine").status == 200
        for number, broken in enumerate(('{"clients": [{"clientId": ""}]}', "{")):
            write(here, broken, 2 + number)
            assert ask_token(here, "mine", "of mine").status == 200
    finally:
        write(here, before, 9)
    assert ask_token(here, "mine", "of mine").status == 401


def write(here: Instance, text: str, number: int) -> None:
    """Write with a time that differs from the one before, however fast that was."""
    path = here.config.identity_file
    path.write_text(text)
    moment = path.stat().st_mtime_ns + number * 1_000_000_000
    os.utime(path, ns=(moment, moment))


def test_the_secrets_are_tagged_for_what_may_read_them(here: Instance) -> None:
    identity.ensure_secrets(here)
    api = here.client("secretsmanager")
    arns = identity.describe(here)["secrets"]
    assert set(arns) == {WEB, CONNECTORS, HEALTH}
    for client, arn in arns.items():
        value = json.loads(api.get_secret_value(SecretId=arn)["SecretString"])
        assert value == {"clientSecret": secret(here, client)}
    tags = {one["Key"]: one["Value"] for one in api.describe_secret(SecretId=arns[HEALTH])["Tags"]}
    assert tags == {
        "camunda:control-plane": "camunda-lifecycle",
        "camunda:purpose": "oidc-client",
        "camunda:cluster": "demo",
        "camunda:token-url": TOKEN_URL,
    }
    # Again, with another secret in the file.
    api.put_secret_value(SecretId=arns[WEB], SecretString="{}")
    identity.ensure_secrets(here)
    assert secret(here, WEB) in api.get_secret_value(SecretId=arns[WEB])["SecretString"]
