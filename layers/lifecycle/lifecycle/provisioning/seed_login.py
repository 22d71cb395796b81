"""Seed the client secrets of the user pool that a cluster's stack made.

A template cannot copy a client's secret from Cognito to Secrets Manager: CloudFormation shows the
resolved properties in ``DescribeStackEvents``. The stack makes empty secrets, which are filled here
before a task starts. Of a secret's value nothing is returned or logged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.owned_secrets import Purpose

if TYPE_CHECKING:
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.provisioning.ports import ClientSecretStore, UserPools

LOGIN: Final = "Client secrets of the user pool are stored"
_POOL: Final = "CognitoUserPoolId"


@dataclass(frozen=True, slots=True)
class SeededClient:
    """A client of the pool and its secret: the outputs that name them, and who reads it."""

    name: str
    client_output: str
    secret_output: str
    purpose: Purpose


CLIENTS: Final = (
    SeededClient("web", "OidcClientId", "OidcClientSecretArn", Purpose.TASK),
    SeededClient("connectors", "OidcConnectorsClientId", "OidcConnectorsSecretArn", Purpose.TASK),
    SeededClient("health", "OidcHealthClientId", "OidcHealthSecretArn", Purpose.OIDC_CLIENT),
)


@dataclass(frozen=True, slots=True)
class LoginSeeder:
    """The use case and its ports."""

    pools: UserPools
    secrets: ClientSecretStore
    journal: Journal

    def seed(self, operation: Operation, cluster: ClusterOutputs) -> dict[str, Any]:
        """Store each client's secret as Cognito has it, where it differs.

        Repeating is harmless: a secret that is in place is left alone. Returns ``userPool`` and
        ``clients``, by name ``stored`` or ``already there``. Raises ``StackNotUsable`` for a
        missing output, ``UserPoolUnusable``, and ``SecretRefused`` for a secret of others.
        """
        pool = cluster.required(_POOL)
        named = [
            (one, cluster.required(one.client_output), cluster.required(one.secret_output))
            for one in CLIENTS
        ]
        self.journal.step(operation, LOGIN, pool)
        found = {}
        for one, client, secret in named:
            value = self.pools.client_secret(pool, client)
            stored = self.secrets.store(secret, cluster.cluster_name, one.purpose, value)
            found[one.name] = "stored" if stored else "already there"
        return {"userPool": pool, "clients": found}
