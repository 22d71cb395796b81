"""Logins to databases: the admin from Secrets Manager, IAM users by a token signed here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.core.seed import Login
from lifecycle.errors import SecretUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping


class AwsDatabaseLogins:
    """The `DatabaseLogins` port, with the credentials of the function's own role."""

    def __init__(self, *, secrets: Any, rds: Any) -> None:
        """Take boto3 clients of Secrets Manager and RDS; the latter makes no call, it signs."""
        self._secrets = secrets
        self._rds = rds

    def admin(self, secret_arn: str) -> Login:
        """Read the admin's secret: JSON with ``username`` and ``password``, as RDS writes it."""
        try:
            text = self._secrets.get_secret_value(SecretId=secret_arn)["SecretString"]
        except (ClientError, BotoCoreError) as error:
            raise SecretUnreadable(
                f"The admin secret {secret_arn} could not be read: {error}",
                next_step=(
                    "Check that the secret exists and that the function's role may read it and "
                    "use its key, then run the same input again."
                ),
            ) from error
        return _login(text, secret_arn)

    def iam(self, endpoint: str, port: int, user: str) -> Login:
        """Sign a token for ``user``; it is needed at login only and lives for 15 minutes."""
        try:
            token = self._rds.generate_db_auth_token(
                DBHostname=endpoint, Port=port, DBUsername=user
            )
        except BotoCoreError as error:
            raise SecretUnreadable(
                f"No token could be signed for {user!r}: {error}",
                next_step="The function runs without credentials of its role; deploy it again.",
            ) from error
        return Login(user=user, password=token)


def _login(text: str, secret_arn: str) -> Login:
    try:
        content: Mapping[str, Any] = json.loads(text)
        return Login(user=str(content["username"]), password=str(content["password"]))
    except (ValueError, KeyError, TypeError):
        # Nothing of the text may be repeated, and json's error holds all of it.
        raise SecretUnreadable(
            f"The admin secret {secret_arn} is not JSON with username and password.",
            next_step="Restore the secret's value, then run the same input again.",
        ) from None
