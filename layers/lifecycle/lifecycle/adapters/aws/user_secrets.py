"""Secrets of the users of Camunda, found by their tags. Source: Secrets Manager's API reference."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

from lifecycle.adapters.aws.secrets import own
from lifecycle.adapters.aws.session import client
from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.cluster.owned_secrets import TAG_PURPOSE, Purpose
from lifecycle.errors import SecretUnreadable
from lifecycle.restore.ports import UserSecret

if TYPE_CHECKING:
    from collections.abc import Sequence


class SecretsManagerUserSecrets:
    """The ``UserSecrets`` port on Secrets Manager."""

    def __init__(self, control_stack: str) -> None:
        self._control_stack = control_stack

    def of_cluster(self, cluster: str) -> Sequence[UserSecret]:
        """List the secrets with a cluster's tag, keep those of its users, and read whose they are.

        The filter compares the beginning of a value:
        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Filter.html
        """
        api = client("secretsmanager")
        ours = {
            TAG_CONTROL_PLANE: self._control_stack,
            TAG_CLUSTER: cluster,
            TAG_PURPOSE: Purpose.CAMUNDA_USER.value,
        }
        pages = api.get_paginator("list_secrets").paginate(
            Filters=[{"Key": "tag-value", "Values": [cluster]}]
        )
        return [
            UserSecret(one["ARN"], self._username(one["ARN"]), one["CreatedDate"])
            for page in pages
            for one in page["SecretList"]
            if ours.items() <= {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}.items()
        ]

    def _username(self, secret_arn: str) -> str:
        text = client("secretsmanager").get_secret_value(SecretId=secret_arn)["SecretString"]
        return _read(text, secret_arn)

    def copy(self, source: UserSecret, target: str, cluster: str) -> None:
        """Put the value of one secret into another, and before it the former one if it has one.

        A rotation after the backup leaves there, as AWSPREVIOUS, what the restored data has. The
        version's id follows from the value and the target, so that a repetition makes none:
        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
        """
        api = client("secretsmanager")
        own(api, target, self._control_stack, cluster, Purpose.CAMUNDA_USER)
        versions = [api.get_secret_value(SecretId=source.arn)]
        _read(versions[0]["SecretString"], source.arn)
        if api.get_secret_value(SecretId=target)["SecretString"] == versions[0]["SecretString"]:
            return
        with contextlib.suppress(api.exceptions.ResourceNotFoundException, SecretUnreadable):
            former = api.get_secret_value(SecretId=source.arn, VersionStage="AWSPREVIOUS")
            _read(former["SecretString"], source.arn)
            versions.insert(0, former)
        for one in versions:
            text = f"{source.arn}/{one['VersionId']}/{target}"
            token = hashlib.sha256(text.encode()).hexdigest()
            api.put_secret_value(
                SecretId=target, ClientRequestToken=token, SecretString=one["SecretString"]
            )


def _read(text: str, secret_arn: str) -> str:
    try:
        content = json.loads(text)
        username, _ = str(content["username"]), str(content["password"])
    except (ValueError, KeyError, TypeError):
        # Nothing of the text may be repeated, and json's error holds all of it.
        raise SecretUnreadable(
            f"The secret {secret_arn} is not JSON with username and password.",
            next_step="Restore the secret's value, then start the same operation again.",
        ) from None
    return username
