"""In-memory identity providers, and logins of clusters without one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.camunda.credentials import Token
from lifecycle.camunda.identity import Discovery, Keys
from lifecycle.cluster.login import ClusterLogins

if TYPE_CHECKING:
    from lifecycle.camunda.identity import Client
    from lifecycle.camunda.ports import Users
    from lifecycle.errors import LifecycleError

ISSUER = "https://login.example.com/realms/main"
TOKEN_URL = f"{ISSUER}/protocol/openid-connect/token"


@dataclass
class InMemoryTokens:
    """Tokens by the number of those that were issued; ``error`` is raised instead."""

    error: LifecycleError | None = None
    issued: list[Client] = field(default_factory=list)
    kept: dict[Client, Token] = field(default_factory=dict)
    old: bool = False
    value: str = ""

    def token(self, client: Client) -> Token:
        if client not in self.kept:
            if self.error is not None:
                raise self.error
            self.issued.append(client)
            self.kept[client] = Token(self.value or f"token-{len(self.issued)}")
        return self.kept[client]

    def forget(self, client: Client) -> bool:
        return self.old and self.kept.pop(client, None) is not None


@dataclass
class InMemoryProvider:
    """A provider whose document and keys are set; an error is raised instead."""

    document: Discovery | LifecycleError = field(
        default_factory=lambda: Discovery(
            issuer=ISSUER,
            authorization_endpoint=f"{ISSUER}/protocol/openid-connect/auth",
            token_endpoint=TOKEN_URL,
            jwks_uri=f"{ISSUER}/protocol/openid-connect/certs",
            end_session_endpoint=f"{ISSUER}/protocol/openid-connect/logout",
            grant_types=("authorization_code", "client_credentials"),
            claims=("sub", "preferred_username"),
        )
    )
    signing: Keys | LifecycleError = field(default_factory=lambda: Keys(1, frozenset({"RS256"})))

    def discovery(self, issuer: str) -> Discovery:
        del issuer
        if isinstance(self.document, Exception):
            raise self.document
        return self.document

    def keys(self, url: str) -> Keys:
        del url
        if isinstance(self.signing, Exception):
            raise self.signing
        return self.signing


def logins(users: Users, tokens: InMemoryTokens | None = None) -> ClusterLogins:
    """Logins with these users; tokens are issued by a provider that accepts every client."""
    return ClusterLogins(users, tokens or InMemoryTokens())
