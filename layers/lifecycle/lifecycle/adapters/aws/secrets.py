"""Users of Camunda and of Aurora, from Secrets Manager; their values never leave the function."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Final

from lifecycle.adapters.aws.session import client
from lifecycle.camunda.credentials import Credentials
from lifecycle.errors import SecretUnreadable
from lifecycle.rotation.ports import Stages


class SecretsManagerUsers:
    """The ``Users`` port on Secrets Manager."""

    def credentials(self, secret_arn: str, version_id: str = "") -> Credentials:
        """Read a user: JSON with ``username`` and ``password``, of AWSCURRENT or of one version.

        Raises ``SecretUnreadable``.
        """
        version: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        answer = client("secretsmanager").get_secret_value(SecretId=secret_arn, **version)
        text = answer["SecretString"]
        try:
            content = json.loads(text)
            return Credentials(str(content["username"]), str(content["password"]))
        except (ValueError, KeyError, TypeError):
            # Nothing of the text may be repeated, and json's error holds all of it.
            raise SecretUnreadable(
                f"The secret {secret_arn} is not JSON with username and password.",
                next_step="Restore the secret's value, then start the same operation again.",
            ) from None


# What the template's GenerateSecretString asks for, and why: stacks/cluster.yaml, Secrets.
PASSWORD_RULES: Final = {"PasswordLength": 32, "ExcludePunctuation": True}


class SecretsManagerVersions:
    """The ``SecretVersions`` port on Secrets Manager.

    Stages: https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
    """

    def __init__(self) -> None:
        self._users = SecretsManagerUsers()

    def stages(self, secret_arn: str) -> Stages:
        """Return which version has which stage (``DescribeSecret``).

        AWSPENDING beside AWSCURRENT on one version is a rotation that is over:
        https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
        """
        found = client("secretsmanager").describe_secret(SecretId=secret_arn)
        by_stage = {
            stage: version
            for version, stages in found.get("VersionIdsToStages", {}).items()
            for stage in stages
        }
        current, pending = by_stage.get("AWSCURRENT", ""), by_stage.get("AWSPENDING", "")
        return Stages(
            current=current,
            pending="" if pending == current else pending,
            previous=by_stage.get("AWSPREVIOUS", ""),
            rotated=bool(found.get("RotationEnabled")),
        )

    def read(self, secret_arn: str, version_id: str) -> Credentials:
        """Read one version. Raises ``SecretUnreadable``."""
        return self._users.credentials(secret_arn, version_id)

    def create(self, secret_arn: str, username: str, token: str) -> None:
        """Make a version with a new password as AWSPENDING.

        ``ResourceExistsException`` means that this token made one before, with another password:
        it stays. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
        """
        api = client("secretsmanager")
        value = json.dumps({"username": username, "password": self.unknown_password()})
        with contextlib.suppress(api.exceptions.ResourceExistsException):
            api.put_secret_value(
                SecretId=secret_arn,
                ClientRequestToken=token,
                SecretString=value,
                VersionStages=["AWSPENDING"],
            )

    def promote(self, secret_arn: str, version_id: str, former: str) -> None:
        """Move AWSCURRENT; AWSPREVIOUS follows by itself, AWSPENDING is taken off.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
        """
        api = client("secretsmanager")
        api.update_secret_version_stage(
            SecretId=secret_arn,
            VersionStage="AWSCURRENT",
            MoveToVersionId=version_id,
            RemoveFromVersionId=former,
        )
        api.update_secret_version_stage(
            SecretId=secret_arn, VersionStage="AWSPENDING", RemoveFromVersionId=version_id
        )

    def unknown_password(self) -> str:
        """Return a new password by the rules of the template (``GetRandomPassword``)."""
        answer = client("secretsmanager").get_random_password(**PASSWORD_RULES)
        return str(answer["RandomPassword"])
