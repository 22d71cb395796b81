"""Users of Camunda and of Aurora, from Secrets Manager; their values never leave the function."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.session import client, error_code
from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.names import TAG_CONTROL_PLANE
from lifecycle.cluster.owned_secrets import (
    TAG_TOKEN_URL,
    Purpose,
    tag_command,
    wrong_tag,
    wrong_url,
)
from lifecycle.errors import AwsUnavailable, SecretRefused, SecretUnreadable
from lifecycle.rotation.ports import Stages

if TYPE_CHECKING:
    from collections.abc import Mapping

# The roles of the functions may describe only what carries the control plane's tag.
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})


class SecretsManagerUsers:
    """The ``Users`` port on Secrets Manager, for the secrets of one purpose."""

    def __init__(self, control_stack: str, purpose: Purpose) -> None:
        self._control_stack = control_stack
        self._purpose = purpose

    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        """Read a user of a cluster: JSON with ``username`` and ``password``.

        The tags are read first, without the value: a secret of another cluster, control plane or
        purpose is not read. Raises ``SecretRefused`` or ``SecretUnreadable``.
        """
        api = client("secretsmanager")
        own(api, secret_arn, self._control_stack, cluster, self._purpose)
        return _read(api, secret_arn)


class SecretsManagerClients:
    """The ``ClientSecrets`` port on Secrets Manager."""

    def __init__(self, control_stack: str) -> None:
        self._control_stack = control_stack

    def secret(self, secret_arn: str, cluster: str, token_url: str) -> str:
        """Read the secret of a client: JSON with ``clientSecret``.

        The tags are read first, without the value: a secret of another cluster, control plane or
        purpose, or for another URL, is not read. Raises ``SecretRefused`` or ``SecretUnreadable``.
        """
        api = client("secretsmanager")
        described = own(api, secret_arn, self._control_stack, cluster, Purpose.OIDC_CLIENT)
        why = wrong_url({tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}, token_url)
        if why:
            raise SecretRefused(
                f"The secret {secret_arn} was not read: it {why}. If that is the token endpoint "
                f"of your identity provider: aws secretsmanager tag-resource --secret-id "
                f"{secret_arn} --tags Key={TAG_TOKEN_URL},Value={token_url}"
            )
        text = api.get_secret_value(SecretId=secret_arn).get("SecretString")
        try:
            content = json.loads(text or "")
            found = content["clientSecret"]
        except (ValueError, KeyError, TypeError, RecursionError):
            found = None
        if not isinstance(found, str) or not found:
            # Nothing of the text may be repeated, and json's error holds all of it.
            raise SecretUnreadable(
                f"The secret {secret_arn} is not JSON with clientSecret.",
                next_step='Put {"clientSecret": "…"} into it, then start the same operation again.',
            ) from None
        return found


class SecretsManagerWebhook:
    """The URL of a webhook, in a secret of the control plane."""

    def __init__(self, control_stack: str, secret_arn: str) -> None:
        self._control_stack = control_stack
        self._secret_arn = secret_arn

    def url(self) -> str:
        """Read the URL: the whole text of the secret.

        The tags are read first, without the value. Raises ``SecretRefused`` and
        ``SecretUnreadable``.
        """
        api = client("secretsmanager")
        own(api, self._secret_arn, self._control_stack, "", Purpose.CHAT)
        text = api.get_secret_value(SecretId=self._secret_arn).get("SecretString")
        if not isinstance(text, str):
            raise SecretUnreadable(
                f"The secret {self._secret_arn} has no text.",
                next_step="Put the URL of the webhook into it, alone.",
            )
        return text.strip()


# What the template's GenerateSecretString asks for, and why: stacks/cluster.yaml, Secrets.
PASSWORD_RULES: Final = {"PasswordLength": 32, "ExcludePunctuation": True}


class SecretsManagerVersions:
    """The ``SecretVersions`` port on Secrets Manager.

    Stages: https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
    """

    def __init__(self, control_stack: str) -> None:
        self._control_stack = control_stack

    def stages(self, secret_arn: str, *, cluster: str, purpose: Purpose) -> Stages:
        """Return which version has which stage (``DescribeSecret``), of a secret of this cluster.

        Raises ``SecretRefused`` for a secret whose tags name another cluster or purpose.
        AWSPENDING beside AWSCURRENT on one version is a rotation that is over:
        https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
        """
        api = client("secretsmanager")
        found = own(api, secret_arn, self._control_stack, cluster, purpose)
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
        """Read one version.

        Raises ``SecretUnreadable``, and ``AwsUnavailable`` for a version that is described and not
        found: what Secrets Manager shows right after a change may be from before it.
        """
        api = client("secretsmanager")
        try:
            return _read(api, secret_arn, VersionId=version_id)
        except api.exceptions.ResourceNotFoundException as error:
            raise AwsUnavailable(
                f"Secrets Manager does not find version {version_id} of {secret_arn} yet."
            ) from error

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

        ``InvalidParameterException`` or ``ResourceNotFoundException``: stage or version is not
        where DescribeSecret showed it, because that may be from before a change. Then nothing is
        moved, and the next look decides.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
        """
        api = client("secretsmanager")
        stages = api.describe_secret(SecretId=secret_arn)["VersionIdsToStages"].get(version_id, ())
        with contextlib.suppress(
            api.exceptions.InvalidParameterException, api.exceptions.ResourceNotFoundException
        ):
            if "AWSCURRENT" not in stages:  # else an earlier attempt did it, its answer was lost
                api.update_secret_version_stage(
                    SecretId=secret_arn,
                    VersionStage="AWSCURRENT",
                    MoveToVersionId=version_id,
                    RemoveFromVersionId=former,
                )
            if "AWSPENDING" in stages:
                api.update_secret_version_stage(
                    SecretId=secret_arn, VersionStage="AWSPENDING", RemoveFromVersionId=version_id
                )

    def unknown_password(self) -> str:
        """Return a new password by the rules of the template (``GetRandomPassword``)."""
        answer = client("secretsmanager").get_random_password(**PASSWORD_RULES)
        return str(answer["RandomPassword"])


def own(
    api: Any, secret_arn: str, control_stack: str, cluster: str, purpose: Purpose
) -> Mapping[str, Any]:
    """Describe a secret of this cluster and purpose. Raises ``SecretRefused`` for any other."""
    described: Mapping[str, Any] = {}
    try:
        described = api.describe_secret(SecretId=secret_arn)
    except api.exceptions.ClientError as error:
        if error_code(error) not in _DENIED:
            raise
        why = f"does not exist, or does not carry the tag {TAG_CONTROL_PLANE}"
    else:
        why = wrong_tag(
            {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())},
            control_stack=control_stack,
            cluster=cluster,
            purpose=purpose,
        )
    if why:
        command = tag_command(
            secret_arn, control_stack=control_stack, cluster=cluster, purpose=purpose
        )
        whom, whose = f"cluster {cluster}", "this cluster's"
        if not cluster:
            whom, whose = f"control plane {control_stack}", "this control plane's"
        raise SecretRefused(
            f"The secret {secret_arn} was not read for {whom}: it {why}. "
            f"If it is {whose}: {command}"
        )
    return described


def _read(api: Any, secret_arn: str, **version: str) -> Credentials:
    text = api.get_secret_value(SecretId=secret_arn, **version)["SecretString"]
    try:
        content = json.loads(text)
        return Credentials(str(content["username"]), str(content["password"]))
    except (ValueError, KeyError, TypeError):
        # Nothing of the text may be repeated, and json's error holds all of it.
        raise SecretUnreadable(
            f"The secret {secret_arn} is not JSON with username and password.",
            next_step="Restore the secret's value, then start the same operation again.",
        ) from None
