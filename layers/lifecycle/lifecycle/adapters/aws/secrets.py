"""Users of Camunda, from Secrets Manager. What is read here never leaves the function."""

from __future__ import annotations

import json
from typing import Any, Final

from lifecycle.adapters.aws.session import client, error_code
from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.names import TAG_CONTROL_PLANE
from lifecycle.cluster.owned_secrets import Purpose, tag_command, wrong_tag
from lifecycle.errors import SecretRefused, SecretUnreadable

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
        self._refuse_foreign(api, secret_arn, cluster)
        text = api.get_secret_value(SecretId=secret_arn)["SecretString"]
        try:
            content = json.loads(text)
            return Credentials(str(content["username"]), str(content["password"]))
        except (ValueError, KeyError, TypeError):
            # Nothing of the text may be repeated, and json's error holds all of it.
            raise SecretUnreadable(
                f"The secret {secret_arn} is not JSON with username and password.",
                next_step="Restore the secret's value, then start the same operation again.",
            ) from None

    def _refuse_foreign(self, api: Any, secret_arn: str, cluster: str) -> None:
        why = ""
        try:
            described = api.describe_secret(SecretId=secret_arn)
        except api.exceptions.ClientError as error:
            if error_code(error) not in _DENIED:
                raise
            why = f"does not exist, or does not carry the tag {TAG_CONTROL_PLANE}"
        else:
            why = wrong_tag(
                {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())},
                control_stack=self._control_stack,
                cluster=cluster,
                purpose=self._purpose,
            )
        if why:
            command = tag_command(
                secret_arn,
                control_stack=self._control_stack,
                cluster=cluster,
                purpose=self._purpose,
            )
            raise SecretRefused(
                f"The secret {secret_arn} was not read for cluster {cluster}: it {why}. "
                f"If it is this cluster's: {command}"
            )
