"""Versions of secrets where Secrets Manager shows what was before a change, or has another one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.stub import Stubber
from lifecycle.adapters.aws import secrets
from lifecycle.adapters.aws.secrets import SecretsManagerVersions
from lifecycle.camunda.credentials import Credentials
from lifecycle.errors import AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:demo-AbCdEf"
NEW, FORMER = "n" * 64, "f" * 64


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client(
        "secretsmanager",
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    monkeypatch.setattr(secrets, "client", lambda _name, **_: client)
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def test_a_version_that_is_not_found_yet_is_read_again(api: Stubber) -> None:
    api.add_client_error("get_secret_value", "ResourceNotFoundException")
    with pytest.raises(AwsUnavailable, match=f"version {NEW} of {ARN} yet"):
        SecretsManagerVersions("control").read(ARN, NEW)
    value = json.dumps({"username": "eve", "password": "new"})
    api.add_response("get_secret_value", {"SecretString": value})
    assert SecretsManagerVersions("control").read(ARN, NEW) == Credentials("eve", "new")


@pytest.mark.parametrize("error", ["InvalidParameterException", "ResourceNotFoundException"])
def test_a_stage_that_is_elsewhere_by_now_is_not_moved(api: Stubber, error: str) -> None:
    stages = {NEW: ["AWSPENDING"], FORMER: ["AWSCURRENT"]}
    api.add_response("describe_secret", {"VersionIdsToStages": stages})
    api.add_client_error("update_secret_version_stage", error)
    SecretsManagerVersions("control").promote(ARN, NEW, FORMER)
