"""User pools of Amazon Cognito that clusters' stacks made, and the secrets beside their clients."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lifecycle.adapters.aws.secrets import own
from lifecycle.adapters.aws.session import client
from lifecycle.errors import UserPoolUnusable

if TYPE_CHECKING:
    from lifecycle.cluster.owned_secrets import Purpose


class CognitoUserPools:
    """The ``UserPools`` port on Amazon Cognito."""

    def client_secret(self, pool: str, client_id: str) -> str:
        """Read a client's secret (``DescribeUserPoolClient``). Raises ``UserPoolUnusable``.

        https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_DescribeUserPoolClient.html
        """
        api = client("cognito-idp")
        try:
            found = api.describe_user_pool_client(UserPoolId=pool, ClientId=client_id)
        except api.exceptions.ResourceNotFoundException as error:
            raise UserPoolUnusable(
                f"Cognito finds no client {client_id} in the user pool {pool}."
            ) from error
        secret = found["UserPoolClient"].get("ClientSecret")
        if not secret:
            raise UserPoolUnusable(
                f"The client {client_id} of the user pool {pool} has no client secret."
            )
        return str(secret)


class SecretsManagerClientStore:
    """The ``ClientSecretStore`` port on Secrets Manager."""

    def __init__(self, control_stack: str) -> None:
        self._control_stack = control_stack

    def store(self, secret_arn: str, cluster: str, purpose: Purpose, value: str) -> bool:
        """Make ``value`` the secret's ``clientSecret`` unless it is; return whether it was written.

        A secret without a version, as CloudFormation creates it, has no value to be found:
        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
        Raises ``SecretRefused`` for a secret of another cluster, control plane or purpose.
        """
        api = client("secretsmanager")
        own(api, secret_arn, self._control_stack, cluster, purpose)
        try:
            text = api.get_secret_value(SecretId=secret_arn).get("SecretString")
        except api.exceptions.ResourceNotFoundException:
            text = None
        if _client_secret(text) == value:
            return False
        api.put_secret_value(SecretId=secret_arn, SecretString=json.dumps({"clientSecret": value}))
        return True


def _client_secret(text: object) -> object:
    try:
        return json.loads(str(text or ""))["clientSecret"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
