"""A secret is read only if its tags show that it is this cluster's and for this purpose."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import secrets
from lifecycle.adapters.aws.secrets import SecretsManagerUsers
from lifecycle.cluster.owned_secrets import TAG_PURPOSE, Purpose, tag_command, wrong_tag
from lifecycle.errors import SecretRefused
from lifecycle.scaling.observe import read_brokers
from lifecycle.scaling.probe import ScalingProber
from moto import mock_aws

from tests.fakes.identity import logins
from tests.support.health import OUTPUTS, HealthWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = {
    "camunda:control-plane": "control",
    "camunda:cluster": "demo",
    TAG_PURPOSE: "camunda-user",
}
FOREIGN: tuple[tuple[dict[str, str], str], ...] = (
    ({**OURS, "camunda:control-plane": "another"}, "has 'another' in the tag camunda:control-pla"),
    ({**OURS, "camunda:cluster": "prod"}, "has 'prod' in the tag camunda:cluster"),
    ({**OURS, TAG_PURPOSE: "database-admin"}, "has 'database-admin' in the tag camunda:purpose"),
    ({"camunda:control-plane": "control"}, "does not carry the tag camunda:cluster"),
    ({}, "does not carry the tag camunda:control-plane"),
)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    with mock_aws():
        one = boto3.client("secretsmanager", "eu-central-1")
        monkeypatch.setattr(secrets, "client", lambda _: one)
        yield one


def secret(api: Any, tags: dict[str, str]) -> str:
    made = api.create_secret(
        Name="a-secret",
        SecretString=json.dumps({"username": "admin", "password": "hidden"}),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    return str(made["ARN"])


USERS = SecretsManagerUsers("control", Purpose.CAMUNDA_USER)


def test_a_secret_of_the_cluster_is_read(api: Any) -> None:
    found = USERS.credentials(secret(api, OURS), "demo")
    assert (found.username, found.password) == ("admin", "hidden")


@pytest.mark.parametrize(("tags", "why"), FOREIGN)
def test_another_secret_is_not_read_and_the_tag_is_named(
    api: Any, monkeypatch: pytest.MonkeyPatch, tags: dict[str, str], why: str
) -> None:
    arn = secret(api, tags)
    monkeypatch.setattr(api, "get_secret_value", lambda **_: pytest.fail("it was read"))
    with pytest.raises(SecretRefused) as refused:
        USERS.credentials(arn, "demo")
    assert why in refused.value.message
    assert f"aws secretsmanager tag-resource --secret-id {arn} --tags" in refused.value.message
    assert "Key=camunda:cluster,Value=demo" in refused.value.message


def test_what_the_role_may_not_describe_is_not_read(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**_: Any) -> Any:
        raise api.exceptions.ClientError(
            {"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeSecret"
        )

    monkeypatch.setattr(api, "describe_secret", denied)
    with pytest.raises(SecretRefused, match="does not exist, or does not carry the tag"):
        USERS.credentials("arn:aws:secretsmanager:r:1:secret:x", "demo")


@pytest.mark.parametrize("purpose", [Purpose.TASK, Purpose.REGISTRY])
def test_what_clusters_share_may_lack_the_cluster_s_tag_but_not_name_another(
    purpose: Purpose,
) -> None:
    shared = {"camunda:control-plane": "control", TAG_PURPOSE: purpose.value}
    given = {"control_stack": "control", "cluster": "demo", "purpose": purpose}
    assert wrong_tag(shared, **given) == ""  # type: ignore[arg-type]
    assert "'prod'" in wrong_tag({**shared, "camunda:cluster": "prod"}, **given)  # type: ignore[arg-type]
    assert "camunda:cluster" not in tag_command("arn", **given)  # type: ignore[arg-type]


class Refusing:
    def credentials(self, secret_arn: str, cluster: str) -> Any:
        raise SecretRefused(f"The secret {secret_arn} was not read for cluster {cluster}.")


def test_a_scaling_is_refused_at_once_and_the_rest_is_known() -> None:
    world = HealthWorld()
    prober = ScalingProber(management=lambda _: world.management, logins=logins(Refusing()))
    seen = read_brokers(prober.query(OUTPUTS, brokers=4, partitions=0, backup=0))
    assert "was not read for cluster demo" in seen.refused
    assert (seen.topology, seen.configuration is None) == (None, False)
