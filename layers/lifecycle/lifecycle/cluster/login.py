"""How the functions log in to a cluster, by the outputs of its stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.camunda.credentials import Either
from lifecycle.camunda.identity import Client

if TYPE_CHECKING:
    from lifecycle.camunda.credentials import Login
    from lifecycle.camunda.ports import LoginSource, Tokens, Users
    from lifecycle.cluster.contract import ClusterOutputs


@dataclass(frozen=True, slots=True)
class ClusterLogins:
    """The ``Logins`` port: basic authentication, or a token of the cluster's identity provider."""

    users: Users
    tokens: Tokens

    def of(self, cluster: ClusterOutputs) -> LoginSource:
        """Return the way to log in; nothing is read before a login is needed."""
        if cluster.uses_oidc:
            return ClientLogin(cluster, self.users, self.tokens)
        return UserLogin(cluster, self.users)


@dataclass(frozen=True, slots=True)
class UserLogin:
    """Basic authentication as the administrator of the stack."""

    cluster: ClusterOutputs
    users: Users

    @property
    def named(self) -> str:
        """Name the secret."""
        return (
            f"name and password of the secret {self.cluster.admin_user_secret} "
            "(output AdminUserSecretArn)"
        )

    def login(self) -> Login:
        """Read the secret."""
        return self.users.credentials(self.cluster.admin_user_secret, self.cluster.cluster_name)

    def newest(self) -> Login:
        """Return the same."""
        return self.login()

    def forget(self) -> bool:
        """Nothing is kept."""
        return False


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """A token of the client of the outputs ``OidcHealth…``.

    A cluster changes to its identity provider broker by broker: the stack has the outputs before
    the first broker has the settings. Brokers that still log users in themselves answer 401 to the
    token, and get the administrator's credentials as before.
    """

    cluster: ClusterOutputs
    users: Users
    tokens: Tokens

    @property
    def named(self) -> str:
        """Name the client."""
        return (
            f"the token of client {self.cluster.oidc_health_client_id} of "
            f"{self.cluster.oidc_token_url} (outputs OidcHealthClientId and OidcTokenUrl)"
        )

    def login(self) -> Login:
        """Get a token; with the administrator's credentials for brokers that do not know it."""
        return Either(self.newest(), UserLogin(self.cluster, self.users).login)

    def newest(self) -> Login:
        """Get a token."""
        return self.tokens.token(health_client(self.cluster))

    def forget(self) -> bool:
        """Drop the token that was kept."""
        return self.tokens.forget(health_client(self.cluster))


def health_client(cluster: ClusterOutputs) -> Client:
    """Return the client by which the functions log in. Raises ``StackNotUsable``."""
    return Client(
        token_url=cluster.oidc_token_url,
        client_id=cluster.oidc_health_client_id,
        secret_arn=cluster.oidc_health_secret,
        cluster=cluster.cluster_name,
        scope=cluster.get("OidcClientScope", ""),
        audience=cluster.get("OidcClientAudience", ""),
    )
