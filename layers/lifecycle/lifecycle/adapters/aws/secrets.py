"""Users of Camunda, from Secrets Manager. What is read here never leaves the function."""

from __future__ import annotations

import json

from lifecycle.adapters.aws.session import client
from lifecycle.camunda.credentials import Credentials
from lifecycle.errors import SecretUnreadable


class SecretsManagerUsers:
    """The ``Users`` port on Secrets Manager."""

    def credentials(self, secret_arn: str) -> Credentials:
        """Read a user: JSON with ``username`` and ``password``. Raises ``SecretUnreadable``."""
        text = client("secretsmanager").get_secret_value(SecretId=secret_arn)["SecretString"]
        try:
            content = json.loads(text)
            return Credentials(str(content["username"]), str(content["password"]))
        except (ValueError, KeyError, TypeError):
            # Nothing of the text may be repeated, and json's error holds all of it.
            raise SecretUnreadable(
                f"The secret {secret_arn} is not JSON with username and password.",
                next_step="Restore the secret's value, then start the same operation again.",
            ) from None
